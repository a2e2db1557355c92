// @ts-check
'use strict'
/**
 * Runs a script by becoming its interpreter (execve): same process, same stdin, stdout, stderr and environment, and no
 * Node left in memory. Nothing may have read stdin before. Exit codes as a shell's: 127 = there is no interpreter,
 * 126 = it cannot be run.
 */
const fs = require('node:fs')
const { basename, delimiter, extname, join } = require('node:path')

/** The shell has its place on every system; Python is where PATH says. */
const INTERPRETERS = new Map([
  ['.sh', '/bin/sh'],
  ['.py', 'python3'],
])

/** Node ignores these, and what is ignored stays so in the next program: `yes | head` would complain. A handler ends with Node. */
const IGNORED_BY_NODE = /** @type {const} */ (['SIGPIPE', 'SIGXFSZ'])

/**
 * @param {string} file
 * @param {readonly string[]} args
 * @returns {never}
 */
exports.become = (file, args) => {
  const program = /** @type {string} */ (INTERPRETERS.get(extname(file)))
  for (const signal of IGNORED_BY_NODE) process.on(signal, () => {})
  /** @type {NodeJS.ErrnoException | undefined} */
  let refusal
  for (const path of pathsOf(program)) {
    try {
      process.execve?.(path, [basename(program), file, ...args], process.env)
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error)
      if (code !== 'ENOENT' && code !== 'ENOTDIR') refusal ??= /** @type {NodeJS.ErrnoException} */ (error)
    }
  }
  const where =
    program === basename(program)
      ? ` on PATH (${process.env.PATH ?? ''}); the base runtime of bundles has none, the process driver and an image of your own may`
      : ''
  const reason =
    refusal?.code === 'ERR_ACCESS_DENIED'
      ? 'functions may start no other programs here'
      : (refusal?.message ?? `there is no ${program}${where}`)
  fs.writeSync(2, `cannot run ${basename(file)}: ${reason}\n`)
  process.exit(refusal ? 126 : 127)
}

/** @type {(program: string) => string[]} */
const pathsOf = (program) =>
  program === basename(program)
    ? (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, program))
    : [program]
