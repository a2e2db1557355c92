import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkReach, closing, opening, parseOwn } from './destinations.ts'

const TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
     |-- 192.0.2.0
        /24 link UNICAST
     |-- 192.0.2.7
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
`

test('a machine’s own are all that it answers to, and its broadcast addresses', () => {
  assert.deepEqual(parseOwn(TRIE), ['127.0.0.0/8', '127.0.0.1/32', '192.0.2.7/32', '192.0.2.255/32'])
})

test('of equal ranges the machine’s own and the denied ones win over the allowed ones', () => {
  const lines = closing(['10.0.0.1/32'], { allow: ['10.0.0.1', '10.0.0.2', '8.8.8.8'], deny: ['8.8.8.8/32'] })
  const last = (address: string) => lines.findLast((line) => line.includes(` ${address}/32`))
  assert.equal(last('10.0.0.1'), 'route replace prohibit 10.0.0.1/32')
  assert.match(last('10.0.0.2') ?? '', /^route replace 10\.0\.0\.2\/32 via /)
  assert.equal(last('8.8.8.8'), 'route replace prohibit 8.8.8.8/32')
})

test('what is allowed inside a range that is the machine’s own stays closed', () => {
  assert.equal(
    closing(['10.9.0.0/16'], { allow: ['10.9.1.1'] })
      .join()
      .includes('10.9.1.1'),
    false,
  )
})

test('a range may be written with any address of it', () => {
  assert.ok(closing([], { deny: ['203.0.113.77/26'] }).includes('route replace prohibit 203.0.113.64/26'))
})

test('loopback, link-local and groups are closed whatever the machine has', () => {
  const lines = closing([], {})
  for (const range of ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'])
    assert.ok(lines.includes(`route replace prohibit ${range}`), range)
})

test('what is no range, and what may never be reached, is refused', () => {
  for (const range of [
    '',
    'db.example',
    '10.0.0.0/33',
    '10.0.0/8',
    '::1',
    '1.1.1.1/8/8',
    '10.0.0.1\nlink set lo up',
  ])
    assert.throws(() => checkReach({ deny: [range] }), RangeError, range)
  for (const range of ['127.0.0.1', '169.254.169.254/32', '0.0.0.0/0'])
    assert.throws(() => checkReach({ allow: [range] }), /cannot be allowed/)
  checkReach({ allow: ['10.0.0.0/8'], deny: ['1.1.1.1'] })
})

test('whoever is asked for names is reached on the port of names alone', () => {
  const rules = opening(['10.0.0.53']).filter((line) => line.startsWith('rule'))
  assert.deepEqual(rules, [
    'rule add to 10.0.0.53 ipproto udp dport 53 lookup 53',
    'rule add to 10.0.0.53 ipproto tcp dport 53 lookup 53',
  ])
})
