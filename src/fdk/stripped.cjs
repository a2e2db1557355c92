// @ts-check
'use strict'
/** Has Node load TypeScript whose types a node has taken out already: taking them out loads a compiler, 50 ms and more. */
const fs = require('node:fs')
const { registerHooks } = require('node:module')
const { join, relative } = require('node:path')
const { fileURLToPath } = require('node:url')
const { compileFunction } = require('node:vm')

/** What Node calls TypeScript, and what that is without types. */
const FORMATS = new Map([
  ['module-typescript', 'module'],
  ['commonjs-typescript', 'commonjs'],
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
      const format = FORMATS.get(context.format ?? '') ?? detect(source)
      return { format, source, shortCircuit: true }
    },
  })
}

/**
 * Where no package.json says what it is: CommonJS, if it is that. Left to Node, it would load its compiler after all.
 * @type {(source: string) => 'commonjs' | 'module'}
 */
function detect(source) {
  try {
    compileFunction(source, ['exports', 'require', 'module', '__filename', '__dirname'])
    return 'commonjs'
  } catch {
    return 'module'
  }
}
