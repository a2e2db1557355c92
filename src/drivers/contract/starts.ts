import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { code, hot, type Rig } from './rig.ts'
import { call, EXIT_CODES, processesLeft, specOf } from './support.ts'

/** Hot containers that do not become ready, or offer something else than a socket of their own. */
export function startContract({ it, start, startError }: Rig): void {
  it(
    'one that ends before it is ready fails with its exit code and its last words',
    [hot, code],
    async () => {
      const error = await startError(specOf('exits', { env: { CODE: '7' } }))
      assert.equal(error.fault, 'exited')
      assert.deepEqual([error.result.status, error.result.exitCode], ['error', 7])
      assert.match(error.output, /some last words/)
      assert.match(error.output, /and some more/)
    },
  )

  it(
    'every exit code before it is ready arrives as it is, and none means out of memory',
    [hot, code],
    async () => {
      const codes = await Promise.all(
        EXIT_CODES.map(async (exitCode) => {
          const { fault, result } = await startError(specOf('exits', { env: { CODE: `${exitCode}` } }))
          assert.deepEqual([fault, result.oom], ['exited', false])
          assert.equal(result.status, exitCode === 0 ? 'success' : 'error')
          return result.exitCode
        }),
      )
      assert.deepEqual(codes, EXIT_CODES)
    },
  )

  it('one that throws while loading fails with the reason', [hot, code], async () => {
    const error = await startError(specOf('broken'))
    assert.equal(error.fault, 'exited')
    assert.match(error.output, /cannot load func\.js: Error: broken on purpose/)
  })

  it('a program that is not there ends with 127, as in a shell', [hot, code], async () => {
    const error = await startError(specOf('echo', { command: ['no-such-program'] }))
    assert.deepEqual([error.fault, error.result.status, error.result.exitCode], ['exited', 'error', 127])
    assert.equal(error.result.oom, false)
  })

  it('one that is never ready runs into its limit', [hot, code], async () => {
    const error = await startError(specOf('silent', { startTimeout: 500 }))
    assert.equal(error.fault, 'timeout')
    assert.match(error.message, /not ready after 500 ms/)
    assert.deepEqual(processesLeft(), [])
  })

  for (const [trick, what] of [
    ['link', 'links its socket to one outside'],
    ['links', 'links its socket to one outside in two steps'],
    ['upwards', 'links its socket to one in the folder above'],
  ] as const)
    it(`one that ${what} is refused, and nobody connects there`, [hot, code], async () => {
      await using outside = await listenOutside()
      const error = await startError(specOf('tricks', { env: { TRICK: trick, OUTSIDE: outside.path } }))
      // Where links are forbidden it cannot even try.
      assert.ok(error.fault === 'bad-socket' || /ERR_ACCESS_DENIED|EPERM/.test(error.output), error.message)
      assert.equal(outside.connections(), 0)
    })

  for (const trick of ['file', 'folder'] as const)
    it(`one that makes a ${trick} of its socket is refused`, [hot, code], async () => {
      const error = await startError(specOf('tricks', { env: { TRICK: trick } }))
      assert.deepEqual([error.fault, error.result.status], ['bad-socket', 'killed'])
    })

  it('one that makes a named pipe of its socket is refused', [hot, code], async (t) => {
    const make = 'IFS=:; set -- $FN_LISTENER; mkfifo "$2" || busybox mkfifo "$2" || exit 9; '
    const wait = 'read never < "$2"'
    const error = await startError(specOf('echo', { command: ['sh', '-c', make + wait] }))
    if (error.result.exitCode === 9) return t.skip('has no mkfifo inside')
    assert.deepEqual([error.fault, error.result.status], ['bad-socket', 'killed'])
  })

  it('one that swaps its socket later is still called on the first', [hot, code], async () => {
    const container = await start(specOf('tricks', { env: { TRICK: 'none' } }))
    assert.equal((await call(container, 'swap')).body, 'done')
    assert.equal((await call(container, 'who')).body, 'original who')
  })
}

/** A socket of this machine that no function has any business with. */
async function listenOutside(): Promise<AsyncDisposable & { readonly path: string; connections(): number }> {
  let count = 0
  const path = join(tmpdir(), `sl-outside-${process.pid}`)
  const server = createServer((connection) => {
    count++
    connection.destroy()
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    path,
    connections: () => count,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
