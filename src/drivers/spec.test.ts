import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mockDriver } from './mock/mock.ts'
import { checkSpec } from './spec.ts'

const { capabilities } = mockDriver()
const SOURCE = { kind: 'bundle', dir: '/srv/bundle' } as const
const check = (more: object) =>
  checkSpec('mock', capabilities, { id: 'a', source: SOURCE, memory: 0, ...more })

test('an id, what it runs and its memory are enough, and 0 is the default like nothing', () => {
  const filled = {
    ...{ id: 'a', source: SOURCE, mode: 'hot', env: {}, labels: {}, network: 'none' },
    ...{ memory: 0, cpus: 0, pids: 0, tmpfsSize: 0, startTimeout: 30_000, timeout: 0 },
  }
  assert.deepEqual(check({}), filled)
  const zeros = { cpus: 0, pids: 0, tmpfsSize: 0, logLimit: 0, startTimeout: 0, timeout: 0 }
  assert.deepEqual(check(zeros), filled)
})

test('sizes may be texts', () => {
  const { memory, tmpfsSize, logLimit } = check({ memory: '128M', tmpfsSize: '1.5GiB', logLimit: '1KB' })
  assert.deepEqual([memory, tmpfsSize, logLimit], [128 * 1024 ** 2, 1.5 * 1024 ** 3, 1024])
})

for (const [more, message] of [
  [{ memory: 'much' }, /^memory must be a number of bytes or a text like 128M, got "much"$/],
  [{ cpus: '2' }, /^cpus must be a number that is not negative, got "2"$/],
  [{ timeout: -1 }, /^timeout must be a number that is not negative, got -1$/],
  [{ pids: Number.NaN }, /^pids must be a number that is not negative, got null$/],
  [{ mode: 'warm' }, /^mode must be 'hot' or 'cold', got "warm"$/],
  [{ source: '/srv' }, /^source must have kind 'bundle' or 'image', got "\/srv"$/],
  [{ env: { A: 1 } }, /^env must be texts/],
  [{ id: 7.5 }, /^id must be 1-63/],
] as const)
  test(`what is wrong is named: ${JSON.stringify(more)}`, () => {
    assert.throws(() => check(more), { name: 'DriverError', fault: 'bad-spec', message })
  })
