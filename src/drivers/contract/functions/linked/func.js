// Points the agent at a socket that is not in its own folder.
const { symlinkSync } = require('node:fs')
symlinkSync(process.env.OUTSIDE, process.env.FN_LISTENER.slice('unix:'.length))
setInterval(() => {}, 1_000)
