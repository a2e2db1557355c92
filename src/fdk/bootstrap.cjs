// @ts-check
'use strict'
/**
 * Runs a bundle inside a container: `node bootstrap.cjs <bundle folder>`.
 *
 * Imports the entry: a default export that is a function is served (serve.cjs); any other program is expected to
 * open FN_LISTENER itself, as one on the Node FDK does. Exit codes: 1 = the entry is missing or failed to load.
 *
 * CommonJS and JavaScript on purpose: loading the first ES module costs about 50 ms and stripping types about as much
 * again, and a program that needs neither should start as fast as under plain `node`.
 */
const fs = require('node:fs')
const { basename, dirname, join, resolve } = require('node:path')

const listener = (process.env.FN_LISTENER ?? '').replace(/^unix:/, '')

const ENTRIES = ['func.ts', 'func.mts', 'func.js', 'func.mjs', 'func.cjs']

/**
 * The file to import, or `undefined`: a `func` file, else `main` of package.json.
 * @param {string} dir
 * @returns {string | undefined}
 */
function findEntry(dir) {
  const entry = ENTRIES.map((name) => join(dir, name)).find((file) => fs.existsSync(file))
  if (entry !== undefined) return entry
  const manifest = join(dir, 'package.json')
  if (!fs.existsSync(manifest)) return undefined
  const { main } = JSON.parse(fs.readFileSync(manifest, 'utf8'))
  return typeof main === 'string' ? require.resolve(resolve(dir, main)) : undefined
}

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

/** A program that ends in silence leaves its owner guessing. */
function explainSilentEnd() {
  process.once('exit', (code) => {
    if (code === 0 && listener !== '' && !fs.existsSync(listener))
      fs.writeSync(2, 'the function ended: it has no default export to serve and opened no FN_LISTENER\n')
  })
}

async function main() {
  const dir = resolve(process.argv[2] ?? '.')
  /** @type {string | undefined} */
  let entry
  try {
    entry = findEntry(dir)
  } catch (error) {
    fail(`cannot find the entry of the function: ${error}`, error)
  }
  if (entry === undefined)
    fail('cannot find the entry of the function: no func.{ts,mts,js,mjs,cjs} and no main in package.json')

  process.argv.splice(1, 2, entry)
  if (listener !== '') renameInsteadOfLink()
  let exported
  try {
    exported = await load(entry)
  } catch (error) {
    fail(`cannot load ${basename(entry)}: ${error}`.split('\n', 1)[0] ?? '', error)
  }
  const handler = findHandler(exported)
  if (handler === undefined) explainSilentEnd()
  else if (listener !== '') require('./serve.cjs').serve(handler, listener)
  else await require('./serve.cjs').serveOnce(handler)
}

main()
