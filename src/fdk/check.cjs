// @ts-check
'use strict'
/**
 * Loads a program once, as the bootstrap would, to see whether it can run: `node check.cjs <entry> load|strip`.
 *
 * What it finds goes to file descriptor 3, a line of JSON each: `loaded`, then what it is: a `handler` to serve, a
 * `server` that opens FN_LISTENER itself, `nothing`; or the `error`. It ends as soon as it knows. With `strip` the
 * types of TypeScript are removed and no line of it runs. Runs in a process of its own, under Node's permission model and without a network.
 */
const fs = require('node:fs')
const net = require('node:net')

/** @typedef {{ name: string, message: string, stack: string, codes: unknown[] }} Fault */

let found = false

/** @param {object} line */
const report = (line) => fs.writeSync(3, `${JSON.stringify(line)}\n`)

/**
 * @param {object} line
 * @returns {never}
 */
function end(line) {
  if (!found) report(line)
  found = true
  process.exit(0)
}

/** @type {(error: any) => never} */
const fail = (error) =>
  end({
    error: {
      name: String(error?.name ?? 'Error'),
      message: String(error?.message ?? error),
      stack: String(error?.stack ?? ''),
      codes: codesOf(error),
    },
  })

/**
 * Of an error and whatever caused it.
 * @type {(error: any, depth?: number) => unknown[]}
 */
const codesOf = (error, depth = 0) =>
  error && depth < 5
    ? [error.code, ...[error.cause, ...(error.errors ?? [])].flatMap((inner) => codesOf(inner, depth + 1))]
    : []

/** @param {string} entry */
async function load(entry) {
  net.Server.prototype.listen = () => end({ found: 'server' })
  process.on('exit', (code) => end({ found: 'nothing', code })) // nothing is left to do, or it ended itself
  /** @type {any} */
  let exported
  try {
    exported = require(entry)
  } catch (error) {
    if (/** @type {any} */ (error)?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error
    exported = await import(require('node:url').pathToFileURL(entry).href)
  }
  report({ loaded: true })
  const candidates = [exported, exported?.default, exported?.default?.default]
  if (candidates.some((candidate) => typeof candidate === 'function')) end({ found: 'handler' })
}

/** @param {string} entry */
function strip(entry) {
  require('node:module').stripTypeScriptTypes(fs.readFileSync(entry, 'utf8'))
  end({ found: 'program' })
}

process.on('uncaughtException', fail)
const [, , entry = '', how] = process.argv
if (how === 'strip') strip(entry)
else load(entry).catch(fail)
