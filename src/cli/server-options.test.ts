import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { nodeOptions, type RoleOptions, roleSettings } from './server-options.ts'

/** What the options of a node mean to its role. */
const settings = (...words: string[]) =>
  roleSettings(
    nodeOptions(new Command().exitOverride().configureOutput({ writeErr: () => {} }))
      .parse(words, { from: 'user' })
      .opts<RoleOptions>(),
  )

test('what containers may be promised is given as a size and a number of CPUs, with decimals', () => {
  const { memory, cpus } = settings('--memory', '2G', '--cpus', '1.5')
  assert.deepEqual([memory, cpus], [2 * 1024 ** 3, 1.5])
})

test('what is not given is left to the environment and the machine', () => {
  const { memory, cpus } = settings()
  assert.deepEqual([memory, cpus], [undefined, undefined])
})

test('no CPUs, or what is no number of them, is wrong use', () => {
  for (const text of ['0', '0.0', '-1', '1e3', 'two', '1.', '.5', '']) {
    assert.throws(
      () => settings('--cpus', text),
      /It must be a number of CPUs above zero, like 2 or 1\.5\./,
      text,
    )
  }
})
