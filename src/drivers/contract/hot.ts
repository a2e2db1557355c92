import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../core/clock.ts'
import type { Source } from '../driver.ts'
import { folder } from './boundaries.ts'
import { code, hot, pauses, type Rig } from './rig.ts'
import { call, environmentOf, fdkBundle, flowOf, never, processesLeft, sizeOf, specOf } from './support.ts'

/** Containers that serve many calls over a socket. */
export function hotContract({ it, start, startError, probe }: Rig): void {
  it('a call comes back over the socket', [hot], async () => {
    const container = await start(specOf('echo'))
    const { status, body } = await call(container, 'hello')
    assert.deepEqual({ status, body }, { status: 200, body: 'hello' })
  })

  it('serves one call after another', [hot], async () => {
    const container = await start(specOf('echo'))
    assert.equal((await call(container, 'one')).body, 'one')
    assert.equal((await call(container, 'two')).body, 'two')
  })

  it('four containers start at once, each with its own socket', [hot], async () => {
    const all = await Promise.all([1, 2, 3, 4].map(() => start(specOf('echo'))))
    assert.equal(new Set(all.map((container) => container.socket)).size, 4)
    const answers = all.map(async (container, i) => (await call(container, `${i}`)).body)
    assert.deepEqual(await Promise.all(answers), ['0', '1', '2', '3'])
  })

  for (const reason of ['timeout', 'killed', 'cancelled'] as const)
    it(`stopping for ${reason} says so`, [hot], async () => {
      const container = await start(specOf('echo'))
      assert.equal((await container.stop(reason)).status, reason)
      assert.equal((await container.ended).status, reason)
    })

  it('the first of two reasons to stop is the one', [hot], async () => {
    const container = await start(specOf('echo'))
    const [one, two] = await Promise.all([container.stop('timeout'), container.stop('killed')])
    assert.deepEqual([one.status, two.status], ['timeout', 'timeout'])
  })

  it('its streams end with it', [hot], async () => {
    const container = await start(specOf('echo'))
    const sizes = Promise.all([sizeOf(container.stdout), sizeOf(container.stderr)])
    await container.stop('killed')
    assert.deepEqual(await sizes, [0, 0])
  })

  it('a paused container answers again once it is resumed', [hot, pauses], async () => {
    const container = await start(specOf('echo'))
    await container.pause(never)
    const answer = call(container, 'later')
    await container.resume(never)
    assert.equal((await answer).body, 'later')
  })

  it('a paused container can be stopped', [hot, pauses], async () => {
    const container = await start(specOf('echo'))
    await container.pause(never)
    assert.equal((await container.stop('killed')).status, 'killed')
  })

  it('a paused container makes no progress', [hot, pauses, code], async () => {
    const container = await start(specOf('ticks'))
    const { grows, still } = flowOf(container.stdout)
    await grows(systemClock)
    await container.pause(never)
    await still(systemClock)
    await container.resume(never)
    await grows(systemClock)
    assert.equal((await call(container)).body, 'still here')
  })

  it('a default export is served', [hot, code], async () => {
    const container = await start(specOf('handler'))
    const { body } = await call(container, 'hi', { 'Fn-Call-Id': 'c1' })
    assert.deepEqual(JSON.parse(body), { got: 'hi', fn: 'handler', callId: 'c1' })
  })

  it('a default export in TypeScript is served', [hot, code], async () => {
    const container = await start(specOf('typed'))
    assert.deepEqual(JSON.parse((await call(container, 'you')).body), { hello: 'you' })
  })

  it('TypeScript is taken from what was stripped ahead', [hot, code], async () => {
    await using beside = await folder()
    await writeFile(join(beside.path, 'func.ts'), "export default () => 'ahead'")
    const { source } = specOf('typed')
    const container = await start(specOf('typed', { source: { ...source, stripped: beside.path } as Source }))
    assert.equal((await call(container, 'you')).body, 'ahead')
  })

  it('an unmodified program on the FDK is served', [hot, code], async (t) => {
    await using bundle = await fdkBundle()
    if (!bundle) return t.skip('there is no @fnproject/fdk here: npm install it')
    const container = await start(specOf('fdk', { source: { kind: 'bundle', dir: bundle.dir } }))
    const { body } = await call(container, '{"a":1}', { 'Fn-Call-Id': 'c2' })
    assert.deepEqual(JSON.parse(body), { got: { a: 1 }, callId: 'c2' })
  })

  it('a program may bind the final name itself', [hot, code], async () => {
    const container = await start(specOf('direct'))
    assert.equal((await call(container, 'hello')).body, 'hello')
  })

  it('what the spec says arrives in the environment, and nothing of the node', [hot, code], async () => {
    const { get } = await probe({ env: { COLOUR: 'teal', EMPTY: '', 'WITH.DOT': 'and spaces' } })
    const { env } = await get<{ env: Record<string, string> }>('identity')
    assert.deepEqual([env['COLOUR'], env['EMPTY'], env['WITH.DOT']], ['teal', '', 'and spaces'])
    assert.equal(env['FN_FORMAT'], 'http-stream')
    assert.match(env['FN_LISTENER'] ?? '', /^unix:\/.*\/lsnr\.sock$/)
    const ours = environmentOf('self')
    // Engines set these to what is usual, which may be ours.
    const names = Object.keys(ours).filter((name) => !['PATH', 'TERM'].includes(name))
    assert.ok(names.length > 0, 'there is nothing that could have been passed on')
    assert.deepEqual(
      names.filter((name) => env[name] === ours[name]),
      [],
    )
  })

  it('both streams are delivered, also a mebibyte of each', [hot, code], async () => {
    const container = await start(specOf('loud'))
    const sizes = Promise.all([sizeOf(container.stdout), sizeOf(container.stderr)])
    await call(container)
    await container.stop('killed')
    assert.deepEqual(await sizes, [1024 * 1024, 1024 * 1024])
  })

  it('one that ignores polite signals ends all the same', [hot, code], async () => {
    const container = await start(specOf('stubborn'))
    assert.equal((await call(container)).body, 'still here')
    assert.equal((await container.stop('timeout')).status, 'timeout')
    assert.deepEqual(processesLeft(), [])
  })

  it('one that spins past its limit is ended, and its call breaks off', [hot, code], async () => {
    const { ask, container } = await probe()
    const broken = assert.rejects(ask('spin'))
    const result = await container.stop('timeout')
    assert.deepEqual([result.status, result.oom], ['timeout', false])
    await broken
  })

  it('one that closes its socket and goes on refuses calls, and can be stopped', [hot, code], async () => {
    const container = await start(specOf('tricks', { env: { TRICK: 'none' } }))
    assert.equal((await call(container, 'close')).body, 'original close')
    await assert.rejects(call(container, 'anybody?'), { code: 'ECONNREFUSED' })
    assert.equal((await container.stop('killed')).status, 'killed')
  })

  it('a bundle without an entry fails with the reason', [hot, code], async () => {
    const error = await startError(specOf('empty'))
    assert.equal(error.fault, 'exited')
    assert.match(error.output, /cannot find the entry of the function/)
  })
}
