import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { findPrefix } from './prefix.ts'

const run = promisify(execFile)
const module = JSON.stringify(join(import.meta.dirname, 'prefix.ts'))

/** The core limits, soft and hard, of a command of a node that itself starts with this limit. */
async function coreLimits(ofNode: string): Promise<string> {
  const script = `
    import { spawnSync } from 'node:child_process'
    import { findPrefix } from ${module}
    const { prefix } = await findPrefix()
    const command = [...prefix, 'sh', '-c', 'ulimit -S -c; ulimit -H -c']
    process.stdout.write(spawnSync(command[0], command.slice(1)).stdout)`
  const node = [process.execPath, '--input-type=module', '-e', script]
  const { stdout } = await run('sh', ['-c', `ulimit -S -c ${ofNode} && exec "$@"`, 'sh', ...node])
  return stdout.trim().split('\n').join(' ')
}

test('commands of a node that may dump its memory may not', async (t) => {
  const { warnings } = await findPrefix()
  assert.ok(warnings.length === 0 || !process.env['CI'], warnings.join())
  if (warnings.length > 0) return t.skip('install util-linux')
  const { stdout: most } = await run('sh', ['-c', 'ulimit -H -c'])
  if (most.trim() === '0') return t.skip('the core limit cannot be raised here: ulimit -H -c')
  assert.equal(await coreLimits(most.trim()), '0 0')
})

test('a node that cannot dump its memory needs no program for that', async () => {
  assert.match(await coreLimits('0'), /^0 /)
})
