// @ts-check
'use strict'
const { NAME: TURN } = require('./turn.cjs')
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/** Of one connection, or for the server to say. */
const DROPPED = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'trailer',
  'te',
  'upgrade',
])
exports.DROPPED = DROPPED

const STAMP = {
  'Fn-Fdk-Version': `fdk-sluice/1 (njsv=${process.version})`,
  'Fn-Fdk-Runtime': `node/${process.versions.node}`,
}
exports.STAMP = STAMP

/** @typedef {{ status: number, headers: Iterable<[string, string]>, body: Uint8Array | ReadableStream<Uint8Array> }} Reply */

/**
 * What a handler returned, as a head and a body.
 * @param {any} result
 * @returns {Reply}
 */
exports.toReply = (result) => {
  if (Object.prototype.toString.call(result) === '[object Response]') {
    if (result.type === 'error') throw new TypeError('the function returned Response.error()')
    if (result.bodyUsed) throw new TypeError('the body of the Response is already used')
    return { status: result.status, headers: result.headers, body: result.body ?? EMPTY }
  }
  if (result === undefined || result === null) return { status: 200, headers: [], body: EMPTY }
  if (typeof result === 'string') return ok('text/plain; charset=utf-8', Buffer.from(result))
  if (result instanceof Uint8Array) return ok('application/octet-stream', result)
  return ok('application/json', Buffer.from(JSON.stringify(result) ?? ''))
}

const EMPTY = new Uint8Array(0)

/** @type {(type: string, body: Uint8Array) => Reply} */
const ok = (type, body) => ({ status: 200, headers: [['Content-Type', type]], body })

/**
 * The reply to the agent, whose own status is always 200: the function's is in Fn-Http-Status.
 * @param {ServerResponse} res
 * @param {Reply} reply
 * @param {boolean} trigger wrap the headers for the caller of a trigger
 */
exports.send = async (res, { status, headers, body }, trigger) => {
  setHeaders(res, STAMP)
  if (trigger || status !== 200) res.setHeader('Fn-Http-Status', String(status))
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    if (!DROPPED.has(key))
      res.appendHeader(trigger && key !== 'content-type' ? `Fn-Http-H-${name}` : name, value)
  }
  if (!(body instanceof Uint8Array)) return stream(res, body)
  res.setHeader('Content-Length', body.byteLength)
  res.end(body)
}

/**
 * Sends the head at once, then every chunk as it comes; waits while the agent is slow, and stops when it has gone.
 * @param {ServerResponse} res
 * @param {ReadableStream<Uint8Array>} body
 */
async function stream(res, body) {
  const reader = body.getReader()
  /** @type {() => void} */
  let wake = () => {}
  res.on('drain', () => wake())
  res.on('close', () => {
    wake()
    reader.cancel(new Error('the caller has gone')).catch(() => {})
  })
  res.flushHeaders()
  for (let next = await reader.read(); !next.done && !res.destroyed; next = await reader.read())
    if (!res.write(next.value) && !res.destroyed)
      await new Promise((resolve) => {
        wake = () => resolve(undefined)
      })
  res.end()
}

/**
 * @param {unknown} error
 * @returns {string | undefined} what to do about it, when that is known
 */
function logError(error) {
  console.error('Error in function:', error)
  const hint = require('./no-network.cjs').hintFor(error)
  if (hint) console.error(hint)
  return hint
}
exports.logError = logError

/**
 * The reply of a function that threw: the log has the stack, the agent the text.
 * Once a head is out only the connection can tell.
 * @param {ServerResponse} res
 * @param {unknown} error
 */
exports.sendError = (res, error) => {
  const hint = logError(error)
  if (res.headersSent) return void res.destroy()
  for (const name of res.getHeaderNames()) if (name !== TURN) res.removeHeader(name)
  json(
    res,
    502,
    'Exception in function, consult logs for details',
    hint ? `${error}; ${hint}` : String(error),
  )
}

/**
 * @param {ServerResponse} res
 * @param {number} status
 * @param {string} message
 * @param {string} [detail]
 */
function json(res, status, message, detail) {
  const body = JSON.stringify({ message, detail })
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
  res.end(body)
}
exports.json = json

/** @type {(res: ServerResponse, headers: Record<string, string>) => void} */
const setHeaders = (res, headers) => {
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
}
