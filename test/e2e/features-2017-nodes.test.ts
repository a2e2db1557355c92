import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { deploy, startServer, testFunction } from '../support/functions.ts'
import { tempDir } from '../support/temp.ts'

const SCRIPT = fileURLToPath(new URL('../../scripts/calls-per-node.ts', import.meta.url))

test('row 90: a hundred calls of a primes function through the balancer are printed by node and add up', async () => {
  await using temp = await tempDir()
  await using server = await startServer(temp.path, { driver: 'process', env: {} }, ['--local-nodes', '3'])
  const { url } = await deploy(server, testFunction('primes'))
  const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, url, server.ready.adminUrl])
  const lines = stdout.trim().split('\n')
  const calls = lines.map((line) => Number(/^127\.0\.0\.1:\d+ (\d+)$/.exec(line)?.[1]))
  assert.equal(lines.length, 3, stdout)
  assert.equal(
    calls.reduce((sum, some) => sum + some, 0),
    100,
    stdout,
  )
})
