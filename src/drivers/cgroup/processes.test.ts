import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import { virtualClock } from '../../core/clock.ts'
import { freeze } from './processes.ts'

test('a freeze waits until the kernel says that all has come to a halt', async () => {
  await using dir = await tempDir()
  for (const name of ['cgroup.freeze', 'cgroup.events']) writeFileSync(join(dir.path, name), '')
  const clock = virtualClock()
  let frozen = false
  const freezing = freeze([dir.path], clock).then(() => {
    frozen = true
  })
  await new Promise(setImmediate)
  assert.equal(frozen, false)
  writeFileSync(join(dir.path, 'cgroup.events'), 'populated 1\nfrozen 1\n')
  clock.advance(5)
  await freezing
})

test('what does not come to a halt within its limit is let go, and that is an error', async () => {
  await using dir = await tempDir()
  for (const name of ['cgroup.freeze', 'cgroup.events']) writeFileSync(join(dir.path, name), '')
  const clock = virtualClock()
  const failed = assert.rejects(freeze([dir.path], clock), { fault: 'unavailable' })
  for (let ms = 0; ms <= 5_000; ms += 5) {
    await new Promise(setImmediate)
    clock.advance(5)
  }
  await failed
  assert.equal(readFileSync(join(dir.path, 'cgroup.freeze'), 'utf8').trim(), '0')
})
