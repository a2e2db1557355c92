import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { sleep, systemClock } from '../../core/clock.ts'
import type { Container } from '../driver.ts'
import { code, cold, type Rig } from './rig.ts'
import { complete, EXIT_CODES, FRAME_SIZES, growthOf, processesLeft, sizeOf, specOf } from './support.ts'

const MIB = 1024 ** 2

/** Waits until a container that writes has to wait as well, because nobody reads; ten seconds at the most. */
async function standstill({ stdout }: Container): Promise<void> {
  let before = 0
  for (let tries = 0; tries < 30 && (before === 0 || before !== stdout.readableLength); tries++) {
    before = stdout.readableLength
    await sleep(systemClock, 300)
  }
  assert.ok(stdout.readableLength < 64 * MIB, `${stdout.readableLength} bytes wait for somebody to read`)
}

/** Containers that serve one call, from stdin to stdout. */
export function coldContract({ it, start }: Rig): void {
  it('input goes in, output comes out', [cold], async () => {
    const { result, stdout } = await complete(await start(specOf('same', { mode: 'cold' })), 'hello')
    assert.equal(stdout, 'hello')
    assert.deepEqual([result.status, result.exitCode, result.oom], ['success', 0, false])
  })

  it('what the program makes of its input comes out', [cold, code], async () => {
    const { stdout } = await complete(await start(specOf('upper', { mode: 'cold' })), 'hello')
    assert.equal(stdout, 'HELLO')
  })

  it('a mebibyte goes in and comes out', [cold], async () => {
    const container = await start(specOf('same', { mode: 'cold' }))
    assert.equal((await complete(container, 'x'.repeat(MIB))).stdout.length, MIB)
  })

  it('a default export answers one call', [cold, code], async () => {
    const container = await start(specOf('typed', { mode: 'cold' }))
    assert.deepEqual(JSON.parse((await complete(container, 'you')).stdout), { hello: 'you' })
  })

  it('every exit code is the result, and none means out of memory', [cold, code], async () => {
    const ran = EXIT_CODES.map(async (exitCode) => {
      const container = await start(specOf('exits', { mode: 'cold', env: { CODE: `${exitCode}` } }))
      const { result, stdout } = await complete(container)
      assert.deepEqual([result.exitCode, result.oom, stdout], [exitCode, false, 'some last words\n'])
      assert.equal(result.status, exitCode === 0 ? 'success' : 'error')
      assert.equal(result.error, exitCode === 0 ? undefined : `exit code ${exitCode}`)
    })
    await Promise.all(ran)
  })

  it('a signal is an error with its code, as in a shell', [cold, code], async () => {
    const command = ['node', '-e', 'process.abort()']
    const { result } = await complete(await start(specOf('same', { mode: 'cold', command })))
    const { error, exitCode, oom, status } = result
    // The first of a container's processes is deaf to its own SIGABRT: what comes next is a SIGSEGV of the kernel's.
    assert.ok(exitCode === 128 + 6 || exitCode === 128 + 11, `${exitCode}`)
    assert.deepEqual([status, oom, error], ['error', false, `exit code ${exitCode}`])
  })

  it('a program that is not there ends with 127, as in a shell', [cold, code], async () => {
    const container = await start(specOf('same', { mode: 'cold', command: ['no-such-program'] }))
    const { result } = await complete(container)
    assert.deepEqual([result.status, result.exitCode], ['error', 127])
  })

  it('one that runs too long is stopped', [cold, code], async () => {
    const container = await start(specOf('silent', { mode: 'cold', timeout: 200 }))
    assert.equal((await container.ended).status, 'timeout')
    assert.deepEqual(processesLeft(), [])
  })

  it('a command takes the place of the entry', [cold, code], async () => {
    const command = ['node', '-p', '6 * 7']
    const container = await start(specOf('same', { mode: 'cold', command }))
    assert.equal((await complete(container)).stdout, '42\n')
  })

  it('both streams arrive whole and in order, however they were split', [cold, code], async () => {
    const { stdout, stderr } = await complete(await start(specOf('frames', { mode: 'cold' })))
    const written = FRAME_SIZES.map((size, i) => `${i}`.repeat(size)).join('')
    assert.ok(stdout === written, 'stdout')
    assert.ok(stderr === written, 'stderr')
  })

  it('a gibibyte of output costs us no memory: the writer waits', [cold, code], async () => {
    const bytes = 1024 * MIB
    const growth = growthOf(systemClock)
    const container = await start(specOf('flood', { mode: 'cold', env: { BYTES: `${bytes}` } }))
    const log = text(container.stderr)
    await standstill(container)
    let read = 0
    for await (const chunk of container.stdout) read += chunk.length
    assert.equal(read, bytes)
    assert.deepEqual([(await container.ended).status, await log], ['success', ''])
    assert.ok(growth.end() < 256 * MIB, `grew by ${growth.end()} bytes`)
  })

  it('what was written before the end arrives whole, however late it is read', [cold, code], async () => {
    const bytes = 2 * MIB
    const container = await start(specOf('flood', { mode: 'cold', env: { BYTES: `${bytes}` } }))
    await standstill(container)
    // Some hold it all and let the container end, others let it wait for its reader.
    await Promise.race([container.ended, sleep(systemClock, 1_000)])
    await sleep(systemClock, 1_500)
    assert.equal(await sizeOf(container.stdout), bytes)
    assert.equal((await container.ended).status, 'success')
  })

  it('output that nobody reads does not keep a container from being stopped', [cold, code], async () => {
    const container = await start(specOf('flood', { mode: 'cold', env: { BYTES: `${1024 * MIB}` } }))
    assert.equal((await container.stop('killed')).status, 'killed')
    assert.ok((await sizeOf(container.stdout)) < 64 * MIB)
  })
}
