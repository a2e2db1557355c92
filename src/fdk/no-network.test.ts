import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const { hintFor } = createRequire(import.meta.url)('./no-network.cjs')

const loopback = () => ({ lo: [{ internal: true }] })
const network = () => ({ lo: [{ internal: true }], eth0: [{ internal: false }] })
const failure = (code: string) => Object.assign(new Error('failed'), { code })

test('a name or an address out of reach is explained to a function without a network', () => {
  for (const code of ['ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH'])
    for (const error of [
      failure(code),
      new TypeError('fetch failed', { cause: failure(code) }),
      new TypeError('fetch failed', { cause: new AggregateError([failure('OTHER'), failure(code)]) }),
    ])
      assert.match(hintFor(error, loopback), /write "network: true" into func\.yaml/)
})

test('a function that has a network, and any other failure, gets no such hint', () => {
  assert.equal(hintFor(failure('ENOTFOUND'), network), undefined)
  for (const error of [failure('ENOENT'), new Error('x'), 'ENOTFOUND', null, undefined])
    assert.equal(hintFor(error, loopback), undefined)
})
