// @ts-check
'use strict'

/**
 * What a handler learns besides the request.
 * @typedef {object} Context
 * @property {string} callId
 * @property {Date} deadline when the call is cut off
 * @property {AbortSignal} signal aborts at the deadline and when the caller has gone
 * @property {string} app name of the app
 * @property {string} fn name of the function
 * @property {Readonly<Record<string, string>>} params what the path holds where the trigger's source has parameters
 * @property {Readonly<Record<string, string>>} config of app and function
 */

/** Set by the platform or the driver, so no config of the function. */
const PLATFORM = new Set([
  'FN_LISTENER',
  'FN_FORMAT',
  'FN_FN_ID',
  'FN_APP_ID',
  'FN_FN_NAME',
  'FN_APP_NAME',
  'FN_NAME',
  'FN_MEMORY',
  'FN_TMPSIZE',
  'FN_TYPE',
  'FN_CALL_ID',
  'FN_DEADLINE',
  'FN_LOGFRAME_NAME',
  'FN_LOGFRAME_HDR',
  'FN_SPAWN_CALL_ID',
  'OCI_TRACING_ENABLED',
  'OCI_TRACE_COLLECTOR_URL',
  'PORT',
  'PATH',
  'HOME',
  'TMPDIR',
  'HOSTNAME',
  'NODE_VERSION',
  // what shells, bubblewrap and podman add
  'PWD',
  'OLDPWD',
  'SHLVL',
  '_',
  'container',
])

/** With format default the call itself is in the environment too, under the names of 2017. */
const OF_CALL =
  process.env.FN_FORMAT === 'default' ? /^(METHOD|ROUTE|REQUEST_URL|APP_NAME|(PARAM|HEADER)_.*)$/ : /^$/

const config = /** @type {Readonly<Record<string, string>>} */ (
  Object.freeze(
    Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !PLATFORM.has(name) && !OF_CALL.test(name)),
    ),
  )
)
const app = process.env.FN_APP_NAME ?? ''
const fn = process.env.FN_FN_NAME ?? ''

const LATEST = 8.64e15 // the last moment a Date can hold
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * The context of one call, and how to end it.
 * @param {string | undefined} callId
 * @param {string | undefined} deadlineText RFC 3339; without one the call may take forever
 * @param {string} [params] form-encoded
 * @returns {{ ctx: Context, abort(reason: unknown): void, finish(): void }}
 */
exports.makeContext = (callId, deadlineText, params) => {
  const controller = new AbortController()
  const parsed = Date.parse(deadlineText ?? '')
  const deadline = new Date(Number.isNaN(parsed) ? LATEST : parsed)
  const left = deadline.getTime() - Date.now()
  const expire = () =>
    controller.abort(new DOMException('the deadline of the call has passed', 'TimeoutError'))
  const timer = left < LONGEST_TIMER ? setTimeout(expire, Math.max(0, left)) : undefined
  return {
    ctx: {
      callId: callId ?? '',
      deadline,
      signal: controller.signal,
      app,
      fn,
      config,
      params: toParams(params),
    },
    abort: (reason) => controller.abort(reason),
    finish: () => clearTimeout(timer),
  }
}

const NONE = Object.freeze({})

/** @type {(text: string | undefined) => Readonly<Record<string, string>>} */
const toParams = (text) => (text ? Object.fromEntries(new URLSearchParams(text)) : NONE)
