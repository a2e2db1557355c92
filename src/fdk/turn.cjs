// @ts-check
'use strict'
/**
 * Says with each answer which request it belongs to: to `Fn-Turn: 3.CONTAINER` it adds `Fn-Turn: CONTAINER.3`. Only
 * Node's HTTP servers are heard here, which answer requests in their order and each once; so an agent that gets the
 * right answer may keep the connection, and one that does not knows that a program of its own making speaks.
 */
const { subscribe } = require('node:diagnostics_channel')

const NAME = 'fn-turn'
exports.NAME = NAME

/** For every HTTP server of this process, those to come too. */
exports.answerInTurn = () => subscribe('http.server.request.start', answer)

/** @param {any} message */
function answer({ request, response }) {
  const question = request.headers[NAME]
  if (question === undefined) return
  const dot = question.indexOf('.')
  response.setHeader('Fn-Turn', `${question.slice(dot + 1)}.${question.slice(0, dot)}`)
}
