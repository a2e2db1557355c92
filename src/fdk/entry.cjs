// @ts-check
'use strict'
/** Which file of a bundle starts it. The list is held equal to the one that `deploy` checks by. */
const fs = require('node:fs')
const { extname, join, resolve } = require('node:path')

/** JavaScript and TypeScript go first, package.json's `main` among them. */
const MODULES = ['func.ts', 'func.mts', 'func.js', 'func.mjs', 'func.cjs']
const SCRIPTS = ['func.sh', 'func.py']
exports.ENTRIES = [...MODULES, ...SCRIPTS]

/**
 * The file to run, or `undefined`: a `func` module, else `main` of package.json, else a `func` script.
 * @param {string} dir
 * @returns {string | undefined}
 */
exports.findEntry = (dir) => findFile(dir, MODULES) ?? findMain(dir) ?? findFile(dir, SCRIPTS)

/** @type {(file: string) => boolean} */
exports.isScript = (file) => SCRIPTS.some((name) => extname(name) === extname(file))

/** @type {(dir: string, names: readonly string[]) => string | undefined} */
const findFile = (dir, names) => names.map((name) => join(dir, name)).find((file) => fs.existsSync(file))

/**
 * @param {string} dir
 * @returns {string | undefined}
 */
function findMain(dir) {
  const manifest = join(dir, 'package.json')
  if (!fs.existsSync(manifest)) return undefined
  const { main } = JSON.parse(fs.readFileSync(manifest, 'utf8'))
  return typeof main === 'string' ? require.resolve(resolve(dir, main)) : undefined
}
