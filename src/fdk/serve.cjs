// @ts-check
'use strict'
/** Serves a default export, by the container contract: HTTP/1.1 on a unix socket, `POST /call`, one call at a time. */
const fs = require('node:fs')
const http = require('node:http')
const { makeContext } = require('./context.cjs')
const { isTrigger, toRequest } = require('./request.cjs')
const { json, send, sendError, toReply } = require('./response.cjs')

/** @typedef {(request: Request, ctx: import('./context.cjs').Context) => unknown} Handler */

const MAX_HEAD = 128 * 1024
const { FN_LOGFRAME_NAME: frameName, FN_LOGFRAME_HDR: frameHeader } = process.env

/**
 * Binds another name first: the socket is complete when the agent sees `path`.
 * @param {Handler} handler
 * @param {string} path
 * @returns {http.Server} for who wants to close it
 */
exports.serve = (handler, path) => {
  const server = http.createServer({ maxHeaderSize: MAX_HEAD, requestTimeout: 0, headersTimeout: 0 })
  server.keepAliveTimeout = 0 // the agent closes idle connections
  server.on('request', (req, res) => answer(handler, req, res))
  server.on('error', (error) => {
    console.error(`cannot listen on ${path}: ${error.message}`)
    process.exit(3)
  })
  server.listen(`${path}.tmp`, () => {
    fs.chmodSync(`${path}.tmp`, 0o666)
    fs.renameSync(`${path}.tmp`, path)
    setImmediate(() => globalThis.Request) // Node loads it on first use, tens of ms: not at the first call's cost
  })
  return server
}

/**
 * @param {Handler} handler
 * @param {http.IncomingMessage} req
 * @param {http.ServerResponse} res
 */
async function answer(handler, req, res) {
  if (req.method !== 'POST' || req.url !== '/call') return json(res, 400, 'Invalid method', 'Bad request')
  frameLogs(req)
  const { ctx, abort, finish } = makeContext(text(req, 'fn-call-id'), text(req, 'fn-deadline'))
  res.on('error', () => {}) // the caller has gone: 'close' follows
  res.on('close', () => {
    if (!res.writableFinished) abort(new DOMException('the caller has gone', 'AbortError'))
    finish()
  })
  /** @type {ReturnType<typeof toRequest> | undefined} */
  let call
  try {
    call = toRequest(req, ctx.signal)
    await send(res, toReply(await handler(call.request, ctx)), isTrigger(req))
  } catch (error) {
    sendError(res, error)
  } finally {
    if (call) call.drop()
    else req.resume()
  }
}

/**
 * Serves one call without a listener: the body from stdin, the answer's body to stdout. A throw is exit code 1.
 * @param {Handler} handler
 */
exports.serveOnce = async (handler) => {
  const { Readable } = require('node:stream')
  const { pipeline } = require('node:stream/promises')
  const { ctx, finish } = makeContext(process.env.FN_CALL_ID, process.env.FN_DEADLINE)
  try {
    const body = /** @type {any} */ (Readable.toWeb(process.stdin))
    const init = { method: 'POST', body, duplex: 'half', signal: ctx.signal }
    const reply = toReply(await handler(new Request('http://localhost/call', init), ctx))
    await pipeline(reply.body instanceof Uint8Array ? [reply.body] : reply.body, process.stdout)
  } catch (error) {
    console.error('Error in function:', error)
    process.exitCode = 1
  } finally {
    finish()
    process.stdin.destroy()
  }
}

/**
 * Lets a collector split the logs by call.
 * @param {http.IncomingMessage} req
 */
function frameLogs(req) {
  if (!frameName || !frameHeader) return
  const line = `\n${frameName}=${text(req, frameHeader.toLowerCase()) ?? ''}`
  console.log(line)
  console.error(line)
}

/** @type {(req: http.IncomingMessage, name: string) => string | undefined} */
const text = (req, name) => {
  const value = req.headers[name]
  return Array.isArray(value) ? value[0] : value
}
