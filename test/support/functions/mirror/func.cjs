/**
 * Tells what arrived on its socket, after the milliseconds that the header `X-Wait` says; prints the header `X-Log` to
 * stderr before. Written to the container contract, without an FDK.
 */
const { chmodSync, renameSync } = require('node:fs')
const { createServer } = require('node:http')
const { setTimeout } = require('node:timers/promises')

const path = process.env.FN_LISTENER.replace('unix:', '')
const server = createServer(async (req, res) => {
  const body = Buffer.concat(await req.toArray())
  const { method, url, headers } = req
  await setTimeout(Number(headers['x-wait'] ?? 0))
  if (headers['x-log']) console.error(headers['x-log'])
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify({ method, url, headers, body: body.toString('base64'), env: process.env }))
})
server.listen(`${path}.tmp`, () => {
  chmodSync(`${path}.tmp`, 0o666)
  renameSync(`${path}.tmp`, path)
})
