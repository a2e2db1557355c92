// @ts-check
'use strict'
const { NAME: TURN } = require('./turn.cjs')
/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

const PREFIX = 'fn-http-h-'
const HIGH_WATER = 64 * 1024

/**
 * A call as a web Request. One through a trigger shows the HTTP request that the caller made.
 * @param {IncomingMessage} req
 * @param {AbortSignal} signal
 * @returns {{ request: Request, drop(): void }} `drop` discards what is left of the body
 */
exports.toRequest = (req, signal) => {
  const trigger = isTrigger(req)
  const method = trigger ? (first(req, 'fn-http-method') ?? 'POST') : 'POST'
  const url = new URL((trigger && first(req, 'fn-http-request-url')) || '/call', 'http://localhost')
  const headers = trigger ? triggerHeaders(req) : plainHeaders(req)
  const body = method === 'GET' || method === 'HEAD' || isEmpty(req) ? undefined : bodyOf(req)
  /** @type {RequestInit} */
  const init = { method, headers, signal }
  if (body) Object.assign(init, { body: body.stream, duplex: 'half' })
  return { request: new Request(url, init), drop: body?.drop ?? (() => req.resume()) }
}

/** @param {IncomingMessage} req */
const isTrigger = (req) => first(req, 'fn-intent') === 'httprequest'
exports.isTrigger = isTrigger

/** @type {(req: IncomingMessage, name: string) => string | undefined} */
const first = (req, name) => {
  const value = req.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** @param {IncomingMessage} req */
const isEmpty = (req) =>
  req.headers['transfer-encoding'] === undefined && Number(req.headers['content-length'] ?? 0) === 0
exports.isEmpty = isEmpty

/** @param {IncomingMessage} req */
function plainHeaders(req) {
  const headers = new Headers()
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = /** @type {string} */ (req.rawHeaders[i])
    if (name !== TURN) headers.append(name, /** @type {string} */ (req.rawHeaders[i + 1]))
  }
  return headers
}

/** @param {IncomingMessage} req */
function triggerHeaders(req) {
  const headers = new Headers()
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = /** @type {string} */ (req.rawHeaders[i]).toLowerCase()
    const value = /** @type {string} */ (req.rawHeaders[i + 1])
    if (name === 'content-type') headers.set(name, value)
    else if (name.startsWith(PREFIX) && name.length > PREFIX.length)
      headers.append(name.slice(PREFIX.length), value)
  }
  return headers
}

/**
 * The body as a web stream with backpressure. Not Readable.toWeb: cancelling that destroys the connection,
 * and with it a reply that is still on its way.
 * @param {IncomingMessage} req
 */
function bodyOf(req) {
  let open = true
  const drop = () => {
    open = false
    req.resume()
  }
  const stream = new ReadableStream(
    {
      start(controller) {
        req.on('data', (chunk) => {
          if (!open) return
          controller.enqueue(new Uint8Array(chunk))
          if ((controller.desiredSize ?? 0) <= 0) req.pause()
        })
        req.on('end', () => {
          if (open) controller.close()
          open = false
        })
        req.on('error', (error) => {
          if (open) controller.error(error)
          open = false
        })
        req.pause()
      },
      pull() {
        req.resume()
      },
      cancel: drop,
    },
    { highWaterMark: HIGH_WATER, size: (chunk) => chunk.byteLength },
  )
  return { stream, drop }
}
exports.bodyOf = bodyOf
