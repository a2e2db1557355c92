// @ts-check
'use strict'
/** A call as functions of 2017 hear of it, in variables: METHOD, REQUEST_URL, HEADER_<NAME>, FN_CALL_ID, FN_DEADLINE. */

/** @typedef {Readonly<Record<string, string | undefined>>} Environment values are bytes in latin-1, as HTTP has them */

/**
 * The hot protocol sends one header a variable: `App_name` is APP_NAME. `Fn-Call-Id` counts as FN_CALL_ID.
 * @param {import('node:http').IncomingMessage} req
 * @returns {Environment}
 */
exports.fromHeaders = ({ headers }) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toUpperCase().replaceAll('-', '_'), String(value)]),
  )

/** @returns {Environment} */
exports.fromProcess = () =>
  Object.fromEntries(
    Object.entries(process.env).map(([name, value = '']) => [name, Buffer.from(value).toString('latin1')]),
  )

/**
 * The call as a web Request; without a word about where it came from it is a POST.
 * @param {Environment} env
 * @param {ReadableStream<Uint8Array> | undefined} body left out where a Request can have none: GET and HEAD
 * @param {AbortSignal} signal
 */
exports.toRequest = (env, body, signal) => {
  const method = /^[A-Z]+$/.test(env.METHOD ?? '') ? env.METHOD : 'POST'
  const url = URL.canParse(env.REQUEST_URL ?? '') ? String(env.REQUEST_URL) : 'http://localhost/call'
  const headers = new Headers()
  for (const [name, value = ''] of Object.entries(env))
    if (/^HEADER_[A-Z0-9_]+$/.test(name))
      headers.set(name.slice('HEADER_'.length).replaceAll('_', '-'), value)
  /** @type {RequestInit} */
  const init = { headers, signal, ...(method && { method }) }
  if (body && method !== 'GET' && method !== 'HEAD') Object.assign(init, { body, duplex: 'half' })
  return new Request(url, init)
}
