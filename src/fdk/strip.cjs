// @ts-check
'use strict'
/**
 * A node's thread that takes the types out of a bundle's TypeScript, once, so that no start has to: what it writes is
 * what Node itself would run, each character where it was. A file that Node would refuse is left out.
 */
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs')
const { stripTypeScriptTypes } = require('node:module')
const { dirname, join } = require('node:path')
const { workerData } = require('node:worker_threads')

/** @type {{ from: string, to: string, files: readonly string[] }} */
const { from, to, files } = workerData

for (const file of files) {
  const code = strip(readFileSync(join(from, file), 'utf8'))
  if (code === undefined) continue
  const target = join(to, file)
  mkdirSync(dirname(target), { recursive: true, mode: 0o755 })
  writeFileSync(target, code, { flag: 'wx', mode: 0o444 })
}

/** @type {(text: string) => string | undefined} */
function strip(text) {
  try {
    return stripTypeScriptTypes(text)
  } catch (error) {
    if (/_TYPESCRIPT_SYNTAX$/.test(/** @type {any} */ (error)?.code)) return undefined
    throw error // what failed inside may fail for every file from here on, or worse
  }
}
