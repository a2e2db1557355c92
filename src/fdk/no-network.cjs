// @ts-check
'use strict'
/** Loaded when a call has failed: says what to do when that was for want of a network. */

/** A name that cannot be looked up, an address without a way to it. */
const CODES = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL'])
const HINT =
  'the function has no network, which is the default; write "network: true" into func.yaml and deploy again'

/**
 * @param {unknown} error
 * @param {() => object} [interfaces] of this container
 * @returns {string | undefined}
 */
exports.hintFor = (error, interfaces = require('node:os').networkInterfaces) =>
  isOfNetwork(error, 0) && !hasNetwork(interfaces()) ? HINT : undefined

/** @type {(error: any, depth: number) => boolean} `fetch` wraps what happened in a cause, or several */
const isOfNetwork = (error, depth) =>
  typeof error === 'object' &&
  error !== null &&
  depth < 5 &&
  (CODES.has(error.code) ||
    isOfNetwork(error.cause, depth + 1) ||
    (Array.isArray(error.errors) &&
      error.errors.some((/** @type {any} */ inner) => isOfNetwork(inner, depth + 1))))

/** @param {object} interfaces */
const hasNetwork = (interfaces) =>
  Object.values(interfaces).some((addresses) =>
    addresses?.some((/** @type {any} */ address) => !address.internal),
  )
