// @ts-check
'use strict'
/** Carries calls of the container contract (`POST /call` on a unix socket) to a program that serves plain HTTP/1.1. */
const http = require('node:http')
const { isTrigger } = require('./request.cjs')
const { DROPPED, STAMP, json, sendError } = require('./response.cjs')
const { frameLogs, makeServer } = require('./serve.cjs')
const { NAME: TURN } = require('./turn.cjs')
/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

const PREFIX = 'fn-http-h-'
/** Of one connection, or set anew here. */
const HOP = new Set([...DROPPED, 'proxy-authenticate', 'proxy-authorization', 'expect', TURN])
/** The call's own, which a caller cannot forge. */
const OF_CALL = new Set(['fn-call-id', 'fn-deadline'])
const MAX_ANSWER_HEAD = 1024 * 1024
/** ms; also the agent drops its own idle connections so soon, and no program closes one earlier by itself. */
const IDLE = 1_000

/**
 * @param {string} host
 * @param {number} port where the program listens
 * @returns {http.Server} to listen on the agent's socket
 */
exports.makeRelay = (host, port) => {
  const agent = new http.Agent({ keepAlive: true, timeout: IDLE })
  let calls = 0
  return makeServer((req, res) => {
    if (req.method !== 'POST' || req.url !== '/call') return json(res, 400, 'Invalid method', 'Bad request')
    frameLogs(req)
    relay(req, res, { host, port, agent, maxHeaderSize: MAX_ANSWER_HEAD }, ++calls)
  })
}

/**
 * Streams both ways; the slower end sets the pace. When one end is lost the other hears of it.
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 * @param {http.RequestOptions} program
 * @param {number} turn no other call's
 */
function relay(req, res, program, turn) {
  const trigger = isTrigger(req)
  /** @type {http.ClientRequest | undefined} */
  let call
  /** @type {IncomingMessage | undefined} */
  let answer
  let failed = false
  /** @param {unknown} error */
  const fail = (error) => {
    if (failed || res.destroyed) return
    failed = true
    dropBody(req)
    sendError(res, error)
  }
  res.on('error', () => {}) // the caller has gone: 'close' follows
  res.on('close', () => {
    if (!res.writableFinished) call?.destroy()
  })
  try {
    const { headers, ...head } = trigger ? triggerHead(req) : invokeHead(req)
    headers.push(TURN, `${turn}.relay`)
    call = http.request({ ...program, ...head, headers })
  } catch (error) {
    return fail(error) // a method, a path or a header that HTTP/1.1 does not know
  }
  call.on('error', fail)
  call.on('close', () => {
    if (!answer) fail(new Error('the program switched protocols')) // the one end that is no error to Node
  })
  call.on('response', (response) => {
    answer = response
    answer.on('error', fail)
    if (answer.headers[TURN] !== `relay.${turn}`) {
      // The program has no HTTP server of Node's: what it says may be late. Its connection serves one call.
      if (call?.reusedSocket) call.destroy(new Error('the answer does not prove which call it belongs to'))
      if (call?.reusedSocket) return
      const { socket } = response
      answer.on('end', () => socket.destroy())
    }
    answer.on('end', () => {
      if (call?.writableFinished) return
      dropBody(req) // the program answered without reading all of it
      call?.destroy()
    })
    res.writeHead(200, replyHead(answer, trigger, call?.method === 'HEAD'))
    res.flushHeaders()
    answer.pipe(res)
  })
  if (req.headers['transfer-encoding'] !== undefined) call.flushHeaders() // its first piece may be long in coming
  req.pipe(call)
}

/** @param {IncomingMessage} req */
function dropBody(req) {
  req.unpipe()
  req.resume()
}

/** @typedef {{ method: string, path: string, headers: string[] }} Head of a request, its headers as raw pairs */

/**
 * The request that the caller of the trigger made.
 * @param {IncomingMessage} req
 * @returns {Head}
 */
function triggerHead(req) {
  const { host, path, scheme } = parseUrl(String(req.headers['fn-http-request-url'] ?? ''))
  const headers = ['Host', host]
  const seen = new Set()
  for (const [name, value] of endToEnd(req)) {
    const key = name.toLowerCase()
    if (key === 'content-type' || OF_CALL.has(key)) headers.push(name, value)
    if (!key.startsWith(PREFIX)) continue
    const inner = key.slice(PREFIX.length)
    if (inner === '' || inner === 'host' || HOP.has(inner) || OF_CALL.has(inner)) continue
    seen.add(inner)
    headers.push(name.slice(PREFIX.length), value)
  }
  // A proxy in front of the platform knows better what the caller used.
  if (!seen.has('x-forwarded-proto')) headers.push('X-Forwarded-Proto', scheme)
  if (!seen.has('x-forwarded-host')) headers.push('X-Forwarded-Host', host)
  const method = String(req.headers['fn-http-method'] ?? 'POST')
  return { method, path, headers: [...headers, ...framing(req)] }
}

/**
 * A plain call: `POST /` with the caller's headers.
 * @param {IncomingMessage} req
 * @returns {Head}
 */
const invokeHead = (req) => ({
  method: 'POST',
  path: '/',
  headers: [...endToEnd(req).flat(), ...framing(req)],
})

/**
 * Path and query exactly as they came: programs tell `%2F` from `/`.
 * @param {string} url
 */
function parseUrl(url) {
  const [, scheme = 'http', host = 'localhost', rest = ''] = /^(?:(\w+):\/\/([^/?#]*))?(.*)$/.exec(url) ?? []
  return { scheme, host, path: rest.startsWith('/') ? rest : `/${rest}` }
}

/**
 * How the body is delimited: as it came. Said in any case, so that a POST without a body is sent at once.
 * @param {IncomingMessage} req
 */
function framing({ headers }) {
  if (headers['transfer-encoding'] !== undefined) return ['Transfer-Encoding', 'chunked']
  return ['Content-Length', headers['content-length'] ?? '0']
}

/**
 * The raw headers of the reply to the agent, whose own status is always 200.
 * @param {IncomingMessage} answer
 * @param {boolean} trigger wrap them for the caller of a trigger
 * @param {boolean} headOnly
 * @returns {string[]}
 */
function replyHead(answer, trigger, headOnly) {
  const { headers, statusCode = 502 } = answer
  const reply = Object.entries(STAMP).flat()
  if (trigger || statusCode !== 200) reply.push('Fn-Http-Status', String(statusCode))
  for (const [name, value] of endToEnd(answer))
    reply.push(trigger && name.toLowerCase() !== 'content-type' ? `Fn-Http-H-${name}` : name, value)
  const bodiless = headOnly || statusCode === 204 || statusCode === 304
  const { 'content-length': length, 'transfer-encoding': coding } = headers
  if (length !== undefined && coding === undefined && !bodiless) reply.push('Content-Length', length)
  return reply
}

/**
 * The header lines of a message that are not about its connection.
 * @param {IncomingMessage} message
 * @returns {[name: string, value: string][]}
 */
function endToEnd({ headers, rawHeaders }) {
  const named = headers.connection?.toLowerCase().split(/\s*,\s*/) ?? []
  /** @type {[string, string][]} */
  const lines = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name, value] = /** @type {[string, string]} */ (rawHeaders.slice(i, i + 2))
    const key = name.toLowerCase()
    if (!HOP.has(key) && !named.includes(key)) lines.push([name, value])
  }
  return lines
}
