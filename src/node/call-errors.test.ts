import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeApp, makeFn } from '../../test/support/definitions.ts'
import { type ErrorCode, SluiceError } from '../core/errors.ts'
import type { Fn } from '../core/words.ts'
import { define } from '../runner/definition.ts'
import { explain, notWarm } from './call-errors.ts'

const GIB = 1024 ** 3
const MIB = 1024 ** 2
const ROOM = { used: { memory: 0, mcpus: 0 }, total: { memory: GIB, mcpus: 4_000 } }

interface Case {
  readonly fn?: Partial<Fn>
  readonly used?: { readonly memory?: number; readonly mcpus?: number }
  readonly running?: number
  readonly ran?: number
  readonly left?: number
  readonly detail?: string
}

/** What a caller reads of a call that fails so. */
function detailOf(code: ErrorCode, { fn, used, running = 0, ran, left = Infinity, detail }: Case) {
  const runner = { resources: { ...ROOM, used: { ...ROOM.used, ...used } }, running: () => running }
  const error = new SluiceError(code, undefined, { detail })
  return explain(error, runner, { definition: define(makeApp(), makeFn(fn)), ran, left }).detail
}

test('a call that ran out of time names the limit that it met', () => {
  const fn = { timeout: 30 }
  assert.match(detailOf('timed-out', { fn, ran: 30_001 }) ?? '', /function's timeout of 30 s/)
  assert.match(detailOf('timed-out', { fn, ran: 2_000, left: 2_000 }) ?? '', /Fn-Deadline left it 2s/)
  assert.match(detailOf('timed-out', { fn, ran: 10 }) ?? '', /function itself/)
})

test('a call that waited in vain is told what the node was short of, and how much', () => {
  const detail = 'waited max_wait = 3 s for a slot'
  const used = { memory: GIB - 64 * MIB }
  assert.equal(
    detailOf('busy', { detail, used }),
    `${detail}; memory is short: a container needs 128 MiB, 64 of 1024 MiB are free`,
  )
  assert.equal(
    detailOf('refused', { detail, fn: { cpus: 1 }, used: { mcpus: 3_500 } }),
    `${detail}; CPUs are short: a container needs 1, 0.5 of 4 are free`,
  )
  assert.equal(
    detailOf('busy', { detail, fn: { max_concurrency: 3 }, running: 3, used }),
    `${detail}; max_concurrency = 3 calls of it run`,
  )
  assert.equal(detailOf('busy', { detail }), detail)
})

test('what needs no explanation is left as it is', () => {
  const runner = { resources: ROOM, running: () => 0 }
  for (const error of [new SluiceError('function-failed'), notWarm(5)])
    assert.equal(explain(error, runner, { definition: define(makeApp(), makeFn()), ran: 1, left: 1 }), error)
})
