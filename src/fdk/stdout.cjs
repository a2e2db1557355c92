// @ts-check
'use strict'
/** Where stdout carries answers, what a function prints belongs to the log. */

/**
 * Lets the console write to stderr.
 * @returns {() => void} undoes it
 */
exports.printToStderr = () => {
  const before = { ...console }
  Object.assign(console, new console.Console(process.stderr))
  return () => void Object.assign(console, before)
}

/**
 * The real stdout, from now on for the caller alone: for everybody else it is stderr.
 * @returns {NodeJS.WriteStream}
 */
exports.takeStdout = () => {
  const { stdout } = process
  exports.printToStderr()
  Object.defineProperty(process, 'stdout', { value: process.stderr })
  return stdout
}
