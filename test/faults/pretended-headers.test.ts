import assert from 'node:assert/strict'
import { test } from 'node:test'
import { http, INVOKE, send, setUpNode } from '../support/node-rig.ts'

/** What a caller may send to look like a trigger, or like a proxy of ours. */
const PRETENDED = {
  'fn-intent': 'httprequest',
  'fn-http-method': 'DELETE',
  'fn-http-request-url': 'https://bank.example/',
  'fn-http-params': 'id=7',
  'fn-http-h-authorization': 'Bearer x',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'bank.example',
}

const mirror = () => http((req, res) => res.end(JSON.stringify(req.headers)))

test('through /invoke a caller’s headers are the caller’s word and pass, but the call’s id and deadline are the node’s', async (t) => {
  const { node } = await setUpNode(t, mirror())
  const headers = { ...PRETENDED, 'fn-call-id': 'x', 'fn-deadline': '2999-01-01T00:00:00Z' }
  const seen = JSON.parse((await send(node.url + INVOKE, { headers })).body) as Record<string, string>
  for (const [name, value] of Object.entries(PRETENDED)) assert.equal(seen[name], value, name)
  assert.match(String(seen['fn-call-id']), /^[0-9A-Z]{26}$/)
  assert.notEqual(seen['fn-deadline'], headers['fn-deadline'])
})

test('through a trigger they are the node’s word, and what a caller pretends is marked as sent', async (t) => {
  const { node } = await setUpNode(t, mirror())
  const answer = await send(`${node.url}/t/shop/cart?x=1`, { headers: { ...PRETENDED, host: 'shop.test' } })
  const seen = JSON.parse(answer.body) as Record<string, string>
  assert.equal(seen['fn-intent'], 'httprequest')
  assert.equal(seen['fn-http-method'], 'POST')
  assert.equal(seen['fn-http-request-url'], 'http://shop.test/t/shop/cart?x=1')
  assert.equal(seen['fn-http-params'], undefined)
  assert.equal(seen['x-forwarded-proto'], undefined)
  for (const [name, value] of Object.entries(PRETENDED)) assert.equal(seen[`fn-http-h-${name}`], value, name)
})
