export default async (request, ctx) => ({ got: await request.text(), fn: ctx.fn, callId: ctx.callId })
