import assert from 'node:assert/strict'
import { once } from 'node:events'
import { symlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { never } from '../../src/drivers/contract/support.ts'
import { StartError } from '../../src/drivers/driver.ts'
import { tempDir } from '../support/temp.ts'
import { type Grounds, specOf } from './grounds.ts'

/** How often one that keeps changing what its name means is called. */
const ROUNDS = 5

/** A container gives links in place of its socket, so that a node would call this machine's instead. */
export function linkTests(grounds: Grounds): void {
  const { path } = grounds.ears
  const targets = { absolute: path, relative: `../../../../../../..${path}` }

  describe('links in place of a socket lead nowhere', () => {
    test('elsewhere they do: who follows one calls this machine', async () => {
      await using temp = await tempDir()
      const link = join(temp.path, 'lsnr.sock')
      await symlink(path, link)
      assert.equal(await callsDuring(grounds, () => hear(link)), 1)
    })

    for (const [kind, target] of Object.entries(targets)) {
      test(`one, ${kind}`, () => refuses(grounds, ['-link', target]))
      test(`a chain of two, ${kind}`, () => refuses(grounds, ['-links', target]))
      test(`in turns with a socket of its own, ${kind}`, async () => {
        const calls = await callsDuring(grounds, async () => {
          for (let round = 0; round < ROUNDS; round++) await callIfOffered(grounds, ['-swap', target])
        })
        assert.equal(calls, 0)
      })
    }
  })
}

async function refuses(grounds: Grounds, args: readonly string[]): Promise<void> {
  const calls = await callsDuring(grounds, async () => {
    await assert.rejects(callOnce(grounds, args), { name: 'StartError', fault: 'bad-socket' })
  })
  assert.equal(calls, 0)
}

async function callsDuring({ ears }: Grounds, action: () => Promise<unknown>): Promise<number> {
  const before = ears.calls()
  await action()
  return ears.calls() - before
}

/** What is called, where a socket was found at all, is the container's own. @throws StartError for a link */
async function callOnce({ driver, bundle }: Grounds, args: readonly string[]): Promise<void> {
  await using cookie = await driver.prepare(specOf(bundle, args, { mode: 'hot', timeout: 0 }), never)
  await using container = await cookie.run(never)
  container.stdout.resume()
  container.stderr.resume()
  assert.equal(await hear(container.socket as string), 'own')
}

/** One that offers a link at the moment that it is looked at is refused, as any. */
async function callIfOffered(grounds: Grounds, args: readonly string[]): Promise<void> {
  await callOnce(grounds, args).catch((error) => {
    assert.ok(error instanceof StartError && error.fault === 'bad-socket', String(error))
  })
}

/** What a socket says. */
async function hear(path: string): Promise<string> {
  const socket = connect(path)
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await once(socket, 'close', { signal: AbortSignal.timeout(10_000) })
  return text
}
