/** A web server that answers when four requests are there, each with its own body. */
const { createServer } = require('node:http')

const waiting = []

const server = createServer(async (req, res) => {
  waiting.push([res, Buffer.concat(await req.toArray())])
  if (waiting.length === 4) for (const [one, body] of waiting.splice(0)) one.end(body)
})
server.listen(process.env.PORT)
