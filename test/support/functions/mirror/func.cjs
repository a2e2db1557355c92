/**
 * Tells what arrived on its socket. Written to the container contract, without an FDK.
 * A call with `?log=…` in its URL prints that to stderr.
 */
const { chmodSync, renameSync } = require('node:fs')
const { createServer } = require('node:http')

const path = process.env.FN_LISTENER.replace('unix:', '')
const server = createServer(async (req, res) => {
  const body = Buffer.concat(await req.toArray())
  const log = /[?&]log=([^&]*)/.exec(req.headers['fn-http-request-url'])
  if (log) console.error(log[1])
  const { method, url, headers } = req
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify({ method, url, headers, body: body.toString('base64'), env: process.env }))
})
server.listen(`${path}.tmp`, () => {
  chmodSync(`${path}.tmp`, 0o666)
  renameSync(`${path}.tmp`, path)
})
