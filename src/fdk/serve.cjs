// @ts-check
'use strict'
/** Serves a default export, by the container contract: HTTP/1.1 on a unix socket, `POST /call`, one call at a time. */
const fs = require('node:fs')
const http = require('node:http')
const { makeContext } = require('./context.cjs')
const request = require('./request.cjs')
const { json, logError, send, sendError, toReply } = require('./response.cjs')

/** @typedef {(request: Request, ctx: import('./context.cjs').Context) => unknown} Handler */

const MAX_HEAD = 128 * 1024
const { FN_LOGFRAME_NAME: frameName, FN_LOGFRAME_HDR: frameHeader } = process.env

/**
 * @param {Handler} handler
 * @param {string} path
 * @returns {http.Server} for who wants to close it
 */
exports.serve = (handler, path) => {
  const server = makeServer((req, res) => answer(handler, req, res))
  listen(server, path, () => {
    setImmediate(() => globalThis.Request) // Node loads it on first use, tens of ms: not at the first call's cost
  })
  return server
}

/**
 * For requests of the agent, which is trusted to send them whole and to close idle connections.
 * @param {http.RequestListener} answer
 */
const makeServer = (answer) => {
  const limits = { maxHeaderSize: MAX_HEAD, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 }
  return http.createServer({ ...limits, requireHostHeader: false }, answer)
}
exports.makeServer = makeServer

/**
 * Binds another name first: the socket is complete when the agent sees `path`.
 * @param {http.Server} server
 * @param {string} path
 * @param {() => void} announced
 */
const listen = (server, path, announced) => {
  server.on('error', (error) => {
    console.error(`cannot listen on ${path}: ${error.message}`)
    process.exit(3)
  })
  server.listen(`${path}.tmp`, () => {
    fs.chmodSync(`${path}.tmp`, 0o666)
    fs.renameSync(`${path}.tmp`, path)
    announced()
  })
}
exports.listen = listen

/**
 * @param {Handler} handler
 * @param {http.IncomingMessage} req
 * @param {http.ServerResponse} res
 */
async function answer(handler, req, res) {
  if (req.method !== 'POST' || req.url !== '/call') return json(res, 400, 'Invalid method', 'Bad request')
  frameLogs(req)
  const params = request.isTrigger(req) ? text(req, 'fn-http-params') : undefined
  const { ctx, abort, finish } = makeContext(text(req, 'fn-call-id'), text(req, 'fn-deadline'), params)
  res.on('error', () => {}) // the caller has gone: 'close' follows
  res.on('close', () => {
    if (!res.writableFinished) abort(new DOMException('the caller has gone', 'AbortError'))
    finish()
  })
  /** @type {ReturnType<typeof request.toRequest> | undefined} */
  let call
  try {
    call = request.toRequest(req, ctx.signal)
    await send(res, toReply(await handler(call.request, ctx)), request.isTrigger(req))
  } catch (error) {
    // Who obeys the signal at the deadline has not failed: the agent says that time was out.
    if (isDeadline(ctx.signal) && !res.headersSent) json(res, 504, 'Timed out', String(error))
    else sendError(res, error)
  } finally {
    if (call) call.drop()
    else req.resume()
  }
}

/**
 * Serves one call without a listener: the body from stdin, the answer's body to stdout. A throw is exit code 1.
 * What the function prints goes to stderr.
 * @param {Handler} handler
 */
exports.serveOnce = async (handler) => {
  const { Readable } = require('node:stream')
  const { pipeline } = require('node:stream/promises')
  const { fromProcess, toRequest } = require('./environment.cjs')
  const stdout = require('./stdout.cjs').takeStdout()
  const { ctx, finish } = makeContext(process.env.FN_CALL_ID, process.env.FN_DEADLINE)
  try {
    const body = /** @type {any} */ (Readable.toWeb(process.stdin))
    const reply = toReply(await handler(toRequest(fromProcess(), body, ctx.signal), ctx))
    await pipeline(reply.body instanceof Uint8Array ? [reply.body] : reply.body, stdout)
  } catch (error) {
    logError(error)
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
exports.frameLogs = frameLogs

/** @type {(req: http.IncomingMessage, name: string) => string | undefined} */
const text = (req, name) => {
  const value = req.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** @type {(signal: AbortSignal) => boolean} */
const isDeadline = ({ aborted, reason }) => aborted && reason?.name === 'TimeoutError'
