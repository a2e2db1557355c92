import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostCheck } from './known-hosts.ts'

const passes = (check: (host: string | undefined) => void, host: string | undefined): boolean => {
  try {
    check(host)
    return true
  } catch {
    return false
  }
}

const LOOPBACK = [
  'localhost',
  'LocalHost:8080',
  '127.0.0.1',
  '127.0.0.1:8080',
  '127.8.9.10:1',
  '[::1]',
  '[::1]:8080',
]

const FOREIGN = [
  ...['evil.example', 'evil.example:8080', 'localhost.evil.example', '127.0.0.1.evil.example:8080', ''],
  ...['evil.example@127.0.0.1', '127.0.0.1@evil.example', 'localhost, evil.example', '[::1].evil.example'],
  ...['10.0.0.1', '0.0.0.0:8080', '[::]:80', 'localhost:8080:evil.example', ' localhost', 'localhost:'],
]

test('without a token only loopback names are answered, with any port', () => {
  const check = hostCheck(undefined)
  for (const host of LOOPBACK) assert.equal(passes(check, host), true, host)
  for (const host of FOREIGN) assert.equal(passes(check, host), false, host)
})

test('hosts that were named are answered too, and no others', () => {
  const check = hostCheck(undefined, ['faas.example.com'])
  assert.equal(passes(check, 'FaaS.example.com:8443'), true)
  for (const host of FOREIGN) assert.equal(passes(check, host), false, host)
})

test('with a token the name does not matter, since a page does not know the token', () => {
  for (const host of [...LOOPBACK, ...FOREIGN]) assert.equal(passes(hostCheck('secret'), host), true, host)
})

test('who sends no Host is no browser', () => assert.equal(passes(hostCheck(undefined), undefined), true))

test('a refusal says which host, and what to set', () => {
  assert.throws(() => hostCheck(undefined)('evil.example:80'), {
    code: 'forbidden',
    detail: /"evil\.example:80".*FN_ALLOWED_HOSTS.*FN_TOKEN/,
  })
})
