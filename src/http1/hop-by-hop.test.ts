import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bodyLength, isFraming, mayHaveBody } from './framing.ts'
import { connectionNames, connectionNamesIn, isHopByHop } from './hop-by-hop.ts'

test('what Connection names belongs to the connection, the usual values name nothing', () => {
  for (const usual of [undefined, 'close', 'keep-alive']) assert.equal(connectionNames(usual), undefined)
  const named = connectionNamesIn(['Connection', 'X-One, close', 'X-Two', '1', 'connection', ' X-TWO '])
  assert.deepEqual(
    ['x-one', 'x-two', 'x-three'].map((name) => isHopByHop(name, '', named)),
    [true, true, false],
  )
  assert.equal(connectionNamesIn(['X', 'y']), undefined)
})

test('the names of RFC 9110 never pass, TE only for trailers', () => {
  for (const name of [
    'connection',
    'keep-alive',
    'proxy-authorization',
    'transfer-encoding',
    'trailer',
    'upgrade',
  ])
    assert.equal(isHopByHop(name, 'x'), true, name)
  assert.deepEqual(
    ['trailers', 'gzip', 'trailers, gzip'].map((value) => isHopByHop('te', value)),
    [false, true, true],
  )
  assert.equal(isHopByHop('content-length', '1'), false)
})

test('a request has the body that its head announces', () => {
  assert.equal(bodyLength({}), 0)
  assert.equal(bodyLength({ 'content-length': '7' }), 7)
  assert.equal(bodyLength({ 'transfer-encoding': 'chunked' }), undefined)
  assert.deepEqual([100, 200, 204, 304, 404].map(mayHaveBody), [false, true, false, false, true])
  assert.deepEqual(['content-length', 'transfer-encoding', 'te'].map(isFraming), [true, true, false])
})
