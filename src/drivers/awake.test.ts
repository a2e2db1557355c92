import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { canSandbox } from '../../test/support/sandbox.ts'
import { tempDir } from '../../test/support/temp.ts'

const run = promisify(execFile)

/** A person's script: nothing but awaits keeps it alive. */
const scriptOf = (open: string, spec: string) => `
import { FDK_DIR, buildRuntime, processDriver, sandboxDriver } from '${import.meta.dirname}/index.ts'
const dataDir = process.argv[1]
const driver = await ${open}
const cookie = await driver.prepare({ id: 'a', mode: 'cold', memory: '128M', ...${spec} }, new AbortController().signal)
const container = await cookie.run(new AbortController().signal)
const { status, oom } = await container.ended
await cookie[Symbol.asyncDispose]()
await driver[Symbol.asyncDispose]()
console.log(status, oom)
`

const PROCESS = 'processDriver({ dataDir })'
const SANDBOX =
  "sandboxDriver({ dataDir, runtime: await buildRuntime({ dir: dataDir + '/runtime', fdk: FDK_DIR }) })"
const sandbox = canSandbox()
const SOURCE = `source: { kind: 'bundle', dir: '${import.meta.dirname}/contract/functions/same' }`

for (const [name, skip, open, spec, told] of [
  ['a process that takes too long', false, PROCESS, `{ ${SOURCE}, timeout: 300 }`, 'timeout false\n'],
  ['a sandbox that takes too long', sandbox, SANDBOX, `{ ${SOURCE}, timeout: 300 }`, 'timeout false\n'],
  [
    'a sandbox that runs out of memory',
    sandbox,
    SANDBOX,
    `{ ${SOURCE}, memory: '16M', command: ['sh', '-c', 'exec tail /dev/zero'] }`,
    'killed true\n',
  ],
] as const)
  test(`a script that awaits ${name} lives until it knows`, { skip }, async () => {
    await using temp = await tempDir()
    const script = scriptOf(open, spec)
    const args = ['--input-type=module', '--disable-warning=ExperimentalWarning', '-e', script, temp.path]
    const { stdout } = await run(process.execPath, args)
    assert.equal(stdout, told)
  })
