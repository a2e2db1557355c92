const fdk = require('@fnproject/fdk')

/** The way functions for Fn are written; it runs here as it is. */
fdk.handle((input) => ({ message: `Hello, ${input.name ?? 'world'}!` }))
