// @ts-check
'use strict'
/** Has Node load TypeScript whose types a node has taken out already: taking them out loads a compiler, 50 ms and more. */
const fs = require('node:fs')
const { registerHooks } = require('node:module')
const { join, relative } = require('node:path')
const { fileURLToPath } = require('node:url')

/** What Node calls TypeScript, and what that is without types; `typescript` may be either, and Node looks. */
const FORMATS = new Map([
  ['module-typescript', 'module'],
  ['commonjs-typescript', 'commonjs'],
  ['typescript', undefined],
])

/**
 * Files of `bundle` that are in `stripped` are read from there, under their own names. Node takes care of all others,
 * and of what has to be said about a file that is no good.
 * @param {string} bundle
 * @param {string} stripped
 */
exports.loadStripped = (bundle, stripped) => {
  const root = fs.realpathSync(bundle) // Node's names of files are without links
  /** @type {(url: string) => string | undefined} */
  const read = (url) => {
    const [, file] = /^(file:[^?#]*\.[cm]?ts)(?:[?#]|$)/.exec(url) ?? []
    if (file === undefined) return undefined
    try {
      const path = relative(root, fileURLToPath(file))
      return path.startsWith('..') ? undefined : fs.readFileSync(join(stripped, path), 'utf8')
    } catch {
      return undefined
    }
  }
  registerHooks({
    load(url, context, next) {
      const source = read(url)
      if (source === undefined) return next(url, context)
      const format = FORMATS.has(context.format ?? '')
        ? FORMATS.get(context.format ?? '')
        : detect(source, url, context, next)
      return { format, source, shortCircuit: true }
    },
  })
}

/**
 * Whether it is a module, where no package.json says so: as Node finds out about JavaScript in its place.
 * @type {(source: string, url: string, context: import('node:module').LoadHookContext, next: Function) => string}
 */
function detect(source, url, context, next) {
  return next(url.replace(/\.ts(?=[?#]|$)/, '.js'), { ...context, format: undefined, source }).format
}
