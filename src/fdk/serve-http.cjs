// @ts-check
'use strict'
/**
 * Serves a default export by the hot protocol of 2017: HTTP/1.1 requests from stdin, one after the other, each answered
 * on stdout before the next is sent. The answer's status is the function's own.
 */
const { once } = require('node:events')
const fs = require('node:fs')
const { Duplex } = require('node:stream')
const { buffer } = require('node:stream/consumers')
const { makeContext } = require('./context.cjs')
const { fromHeaders, toRequest } = require('./environment.cjs')
const { bodyOf, isEmpty } = require('./request.cjs')
const { DROPPED, json, logError, toReply } = require('./response.cjs')
const { makeServer } = require('./serve.cjs')
const { takeStdout } = require('./stdout.cjs')
/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/**
 * Until stdin ends.
 * @param {import('./serve.cjs').Handler} handler
 */
exports.serveHttp = (handler) => {
  const server = makeServer((req, res) => answer(handler, req, res))
  Object.assign(server, { httpAllowHalfOpen: true }) // the last request is answered after stdin has ended
  server.on('clientError', (error) => {
    fs.writeSync(2, `stdin carried no HTTP request: ${error.message}\n`)
    process.exit(1)
  })
  const ends = { readable: process.stdin, writable: takeStdout() }
  server.emit('connection', Duplex.from(/** @type {any} */ (ends)))
}

/**
 * @param {import('./serve.cjs').Handler} handler
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 */
async function answer(handler, req, res) {
  const env = fromHeaders(req)
  const { ctx, abort, finish } = makeContext(env.FN_CALL_ID, env.FN_DEADLINE)
  res.on('close', () => {
    if (!res.writableFinished) abort(new DOMException('the caller has gone', 'AbortError'))
    finish()
  })
  const body = isEmpty(req) ? undefined : bodyOf(req)
  const reply = await run(handler, toRequest(env, body?.stream, ctx.signal), ctx)
  if (body) body.drop()
  else req.resume()
  if (!req.readableEnded) await once(req, 'end') // an answer ahead of its request's end would look like a broken one
  if (reply) send(res, reply)
  else json(res, 502, 'Exception in function, consult logs for details')
}

/**
 * The whole answer, since it goes with a length: a reader of 2017 takes a body without one to last until the end of
 * stdout. Without one the handler failed.
 * @param {import('./serve.cjs').Handler} handler
 * @param {Request} request
 * @param {import('./context.cjs').Context} ctx
 */
async function run(handler, request, ctx) {
  try {
    const { body, ...head } = toReply(await handler(request, ctx))
    return { ...head, bytes: body instanceof Uint8Array ? body : await buffer(/** @type {any} */ (body)) }
  } catch (error) {
    logError(error)
    return undefined
  }
}

/**
 * @param {ServerResponse} res
 * @param {{ status: number, headers: Iterable<[string, string]>, bytes: Uint8Array }} reply
 */
function send(res, { status, headers, bytes }) {
  res.statusCode = status
  for (const [name, value] of headers) if (!DROPPED.has(name.toLowerCase())) res.appendHeader(name, value)
  res.setHeader('Content-Length', bytes.byteLength)
  res.end(bytes)
}
