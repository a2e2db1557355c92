import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { runCli } from '../../test/support/cli.ts'
import { SluiceError } from '../core/errors.ts'
import { type NodeWords, nodeOptions, starting } from './server-options.ts'

/** What the options of a node mean to its role. */
const settings = (...words: string[]) =>
  nodeOptions(new Command().exitOverride().configureOutput({ writeErr: () => {} }))
    .parse(words, { from: 'user' })
    .opts<NodeWords>()

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

test('an address that is taken names the option that chooses another', async () => {
  const taken = new SluiceError('address', '127.0.0.1:8081 is already in use')
  const given = {
    '--port': { host: '127.0.0.1', port: 8080 },
    '--admin-port': { host: '127.0.0.1', port: 8081 },
  }
  await assert.rejects(starting(Promise.reject(taken), given), {
    code: 'address',
    message: '127.0.0.1:8081 is already in use',
    detail: 'choose another with --admin-port',
  })
  const other = new SluiceError('address', '127.0.0.1:80811 is already in use')
  await assert.rejects(starting(Promise.reject(other), given), (error) => error === other)
})

test('help shows addresses and times as one writes them, and ends in an example', async () => {
  for (const words of [
    ['start'],
    ['node'],
    ['balancer'],
    ['demo'],
    ['invoke'],
    ['deploy'],
    ['config', 'app'],
  ]) {
    const { stdout } = await runCli([...words, '--help'])
    assert.doesNotMatch(stdout, /default:\s+(\{|\d+000\))/, words.join(' '))
    assert.match(stdout, /^Examples?:\n( {2}\$ .*\n)+$/m, words.join(' '))
  }
  assert.match((await runCli(['balancer', '--help'])).stdout, /default:\s+127\.0\.0\.1:8080\)/)
})
