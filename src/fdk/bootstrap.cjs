// @ts-check
'use strict'
/**
 * Runs a bundle inside a container: `node bootstrap.cjs [--stripped=<folder>] <bundle folder>`, as FN_FORMAT says.
 *
 * Imports the entry: a default export that is a function is served, on FN_LISTENER or by stdin and stdout (serve.cjs,
 * serve-http.cjs); any other program is expected to speak the format itself, as one on the Node FDK does. With format
 * `port` it is run as it is (port.cjs); a shell or Python script takes the place of this process (script.cjs).
 * Exit codes: 1 = the entry is missing or failed to load.
 *
 * CommonJS and JavaScript on purpose: loading the first ES module costs about 50 ms and stripping types about as much
 * again, and a program that needs neither should start as fast as under plain `node`.
 */
const fs = require('node:fs')
const { basename, dirname, join, resolve } = require('node:path')
const { findEntry, isScript } = require('./entry.cjs')

const format = process.env.FN_FORMAT ?? ''
/** With the formats of stdin and stdout there is none. */
const listener = ['default', 'http'].includes(format)
  ? ''
  : (process.env.FN_LISTENER ?? '').replace(/^unix:/, '')

/**
 * The FDK announces its socket with a symlink, which Node's permission model forbids. Renaming the socket
 * announces it as well. Every other link is made, or refused, as ever.
 */
function renameInsteadOfLink() {
  const { symlink, symlinkSync } = fs
  /** @type {(target: unknown, path: unknown) => string | undefined} */
  const announced = (target, path) =>
    typeof target === 'string' &&
    target === basename(target) &&
    typeof path === 'string' &&
    resolve(path) === listener
      ? join(dirname(listener), target)
      : undefined

  fs.symlinkSync = (target, path, type) => {
    const socket = announced(target, path)
    return socket === undefined ? symlinkSync(target, path, type) : fs.renameSync(socket, listener)
  }
  // @ts-expect-error: the overloads and __promisify__ of the original do not matter here
  fs.symlink = (target, path, ...rest) => {
    const socket = announced(target, path)
    // @ts-expect-error: type and callback as they came
    if (socket === undefined) return symlink(target, path, ...rest)
    fs.rename(socket, listener, /** @type {fs.NoParamCallback} */ (rest[rest.length - 1]))
  }
  require('node:module').syncBuiltinESMExports()
}

/**
 * What the entry exports. Only a module with a top-level await needs the asynchronous loader.
 * @param {string} entry
 * @returns {Promise<any>}
 */
async function load(entry) {
  try {
    return require(entry)
  } catch (error) {
    if (/** @type {any} */ (error)?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error
    return import(require('node:url').pathToFileURL(entry).href)
  }
}

/**
 * The function to serve, whichever way it was exported: `export default`, `module.exports =`, `exports.default =`.
 * @param {any} exported
 * @returns {import('./serve.cjs').Handler | undefined}
 */
function findHandler(exported) {
  const candidates = [exported, exported?.default, exported?.default?.default]
  return candidates.find((candidate) => typeof candidate === 'function')
}

/**
 * @param {string} line
 * @param {unknown} [error]
 * @returns {never}
 */
function fail(line, error) {
  fs.writeSync(2, `${line}\n`)
  if (error instanceof Error) fs.writeSync(2, `${error.stack}\n`)
  process.exit(1)
}

/**
 * @param {string} entry
 * @param {unknown} error
 * @returns {never}
 */
function failToLoad(entry, error) {
  fail(`cannot load ${basename(entry)}: ${error}`.split('\n', 1)[0] ?? '', error)
}

/** A program that ends in silence leaves its owner guessing. */
function explainSilentEnd() {
  process.once('exit', (code) => {
    if (code === 0 && listener !== '' && !fs.existsSync(listener))
      fs.writeSync(2, 'the function ended: it has no default export to serve and opened no FN_LISTENER\n')
  })
}

async function main() {
  const stripped = /^--stripped=(.+)/s.exec(process.argv[2] ?? '')?.[1]
  if (stripped !== undefined) process.argv.splice(2, 1)
  const dir = resolve(process.argv[2] ?? '.')
  /** @type {string | undefined} */
  let entry
  try {
    entry = findEntry(dir)
  } catch (error) {
    fail(`cannot find the entry of the function: ${error}`, error)
  }
  if (entry === undefined)
    fail(
      'cannot find the entry of the function: no func.{ts,mts,js,mjs,cjs}, no main in package.json and no func.{sh,py}',
    )

  process.argv.splice(1, 2, entry)
  if (stripped !== undefined) require('./stripped.cjs').loadStripped(dir, stripped)
  if (format === 'port') await runOnPort(entry)
  else if (isScript(entry)) require('./script.cjs').become(entry, process.argv.slice(2))
  else await runModule(entry)
}

/**
 * A default export is served, as the format wants it. Everything else is a program that has started by now.
 * @param {string} entry
 */
async function runModule(entry) {
  if (listener !== '') {
    renameInsteadOfLink()
    require('./turn.cjs').answerInTurn()
  }
  const restore = format === 'http' ? require('./stdout.cjs').printToStderr() : undefined
  let exported
  try {
    exported = await load(entry)
  } catch (error) {
    failToLoad(entry, error)
  }
  const handler = findHandler(exported)
  if (handler === undefined) {
    restore?.()
    explainSilentEnd()
  } else if (format === 'http') require('./serve-http.cjs').serveHttp(handler)
  else if (listener === '') await require('./serve.cjs').serveOnce(handler)
  else require('./serve.cjs').serve(handler, listener)
}

/** @param {string} entry */
async function runOnPort(entry) {
  if (isScript(entry))
    fail(`cannot run ${basename(entry)} with format port: that takes JavaScript or TypeScript`)
  if (listener === '') fail('cannot run a function with format port: there is no FN_LISTENER')
  require('./turn.cjs').answerInTurn()
  try {
    await require('./port.cjs').runProgram(entry, listener)
  } catch (error) {
    failToLoad(entry, error)
  }
}

main()
