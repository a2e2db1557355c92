const fdk = require('@fnproject/fdk')

fdk.handle((input, ctx) => ({ got: input, callId: ctx.callID }))
