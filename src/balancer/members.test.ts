import assert from 'node:assert/strict'
import { test } from 'node:test'
import { virtualClock } from '../core/clock.ts'
import type { LoadDigest } from '../core/load.ts'
import { silentLogger } from '../core/logger.ts'
import { Nodes } from '../placement/nodes.ts'
import type { IdleByFunction, Member, Placement } from '../placement/placement.ts'
import { FunctionTable } from './functions.ts'
import { Members, nodeName } from './members.ts'

function made(threshold = 2) {
  const tables: (readonly Member[])[] = []
  const digests: { node: number; idle: IdleByFunction }[] = []
  const nothing = () => {}
  const placement: Placement = {
    name: 'none',
    termNames: [],
    functions: 0,
    pick: nothing,
    sent: nothing,
    done: nothing,
    nack: nothing,
    report: nothing,
    evicted: nothing,
    forget: nothing,
    digest: (node, { idle }) => void digests.push({ node, idle }),
    member: (members) => void tables.push(members),
  }
  const functions = new FunctionTable()
  const members = new Members(new Nodes(placement), functions, virtualClock(), threshold, silentLogger)
  const add = (name: string) => {
    const member = members.add(name)
    assert.ok(member)
    return member
  }
  return { members, functions, digests, add, table: () => tables.at(-1) }
}

const digest: LoadDigest = {
  kind: 'full',
  run: 0,
  queue: 0,
  cap: 4,
  draining: false,
  boot: 'b1',
  seq: 1,
  idle: {},
}

test('a node is named host:port in lower case', () => {
  assert.deepEqual(['A.example:80', ' 10.0.0.1:8080 ', '[::1]:9'].map(nodeName), [
    'a.example:80',
    '10.0.0.1:8080',
    '[::1]:9',
  ])
  for (const text of ['', 'a', ':80', 'a:', 'a:0', 'a:65536', 'a:b', 'a/b:1', 'http://a:1', 'a b:1'])
    assert.throws(() => nodeName(text), { code: 'invalid' }, text)
})

test('a name that comes back is a new node: numbers are never used again', () => {
  const { members, add } = made()
  const first = add('a:1')
  assert.equal(members.add('a:1'), undefined)
  members.remove('a:1')
  assert.equal(members.get(first.known), undefined)
  assert.notEqual(add('a:1').known.node, first.known.node)
})

test('failures in a row up to the threshold take a node out, one success in between does not', () => {
  const { members, add, table } = made(3)
  const member = add('a:1')
  members.failed(member, 'x')
  members.failed(member, 'x')
  members.answered(member)
  members.failed(member, 'x')
  members.failed(member, 'x')
  assert.equal(table()?.[0]?.eligible, true)
  members.failed(member, 'x')
  assert.equal(table()?.[0]?.eligible, false)
})

test('a late answer does not bring a node back, a check does', () => {
  const { members, add, table } = made(1)
  const member = add('a:1')
  members.failed(member, 'x')
  members.answered(member)
  assert.equal(table()?.[0]?.eligible, false)
  members.healthy(member, undefined)
  assert.equal(table()?.[0]?.eligible, true)
})

test('placement hears of a digest, with the functions that are known by number', () => {
  const { members, functions, digests, add } = made()
  const member = add('a:1')
  const fn = functions.intern('known')
  members.healthy(member, { ...digest, idle: { known: 3, unknown: 4 } })
  assert.deepEqual([...(digests[0]?.idle ?? [])], [[fn, 3]])
  members.healthy(member, { ...digest, seq: 0 })
  assert.equal(digests.length, 1)
})
