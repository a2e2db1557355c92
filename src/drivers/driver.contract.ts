import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, type TestContext, test } from 'node:test'
import {
  call,
  complete,
  descriptors,
  descriptorsSince,
  fdkBundle,
  never,
  processesLeft,
  sizeOf,
  specOf,
} from './contract/support.ts'
import { type Container, type ContainerSpec, type Cookie, type Driver, StartError } from './driver.ts'

export interface DriverContractOptions {
  /** It runs the code that it is given. @default true */
  readonly runsCode?: boolean
  /** What it left on the machine: folders, containers of its engine. Asked before it is closed, when all has ended, and after. */
  readonly left?: () => Promise<readonly string[]>
}

/** What every driver promises. What one cannot do is skipped, by what its capabilities say. */
export function driverContract(
  name: string,
  make: () => Promise<Driver>,
  { runsCode = true, left = async () => [] }: DriverContractOptions = {},
): void {
  let driver: Driver

  let cookies: Cookie[] = []

  const prepare = async (spec: ContainerSpec): Promise<Cookie> => {
    const cookie = await driver.prepare(spec, never)
    cookies.push(cookie)
    return cookie
  }
  /** Prepares and runs; the end of the test ends it. */
  const start = async (spec: ContainerSpec): Promise<Container> => (await prepare(spec)).run(never)

  const startError = async (spec: ContainerSpec): Promise<StartError> => {
    try {
      const container = await start(spec)
      assert.fail(`${container.id} became ready`)
    } catch (error) {
      assert.ok(error instanceof StartError, String(error))
      return error
    }
  }

  /** A test of what happens to real code; `needs` says what it takes besides. */
  const code = (title: string, body: (t: TestContext) => Promise<void>) =>
    test(title, async (t) => {
      if (!runsCode) return t.skip('runs no code')
      if (!driver.capabilities.runs.includes('bundle')) return t.skip('runs no bundles')
      await body(t)
    })
  const hot = (title: string, body: (t: TestContext) => Promise<void>) =>
    test(title, async (t) =>
      driver.capabilities.modes.includes('hot') ? body(t) : t.skip('has no hot containers'),
    )
  const cold = (title: string, body: (t: TestContext) => Promise<void>) =>
    test(title, async (t) =>
      driver.capabilities.modes.includes('cold') ? body(t) : t.skip('has no cold containers'),
    )
  const pausing = (title: string, body: (t: TestContext) => Promise<void>) =>
    test(title, async (t) => (driver.capabilities.pause ? body(t) : t.skip('cannot pause')))

  describe(`driver: ${name}`, () => {
    let held: string[]
    before(async () => {
      held = descriptors()
      driver = await make()
    })
    afterEach(async () => {
      await Promise.all(cookies.map((cookie) => cookie[Symbol.asyncDispose]()))
      cookies = []
      assert.deepEqual(processesLeft(), [], 'processes left by closed cookies')
    })
    after(async () => {
      assert.deepEqual(await left(), [], 'left by closed cookies')
      await driver[Symbol.asyncDispose]()
      assert.deepEqual(await left(), [], 'left by a closed driver')
      assert.deepEqual(descriptorsSince(held), [], 'descriptors left by a closed driver')
    })

    describe('hot', () => {
      hot('a call comes back over the socket', async () => {
        const container = await start(specOf('echo'))
        const { status, body } = await call(container, 'hello')
        assert.deepEqual({ status, body }, { status: 200, body: 'hello' })
      })

      hot('serves one call after another', async () => {
        const container = await start(specOf('echo'))
        assert.equal((await call(container, 'one')).body, 'one')
        assert.equal((await call(container, 'two')).body, 'two')
      })

      hot('four containers start at once, each with its own socket', async () => {
        const all = await Promise.all([1, 2, 3, 4].map(() => start(specOf('echo'))))
        assert.equal(new Set(all.map((container) => container.socket)).size, 4)
        assert.deepEqual(
          await Promise.all(all.map(async (container, i) => (await call(container, `${i}`)).body)),
          ['0', '1', '2', '3'],
        )
      })

      for (const reason of ['timeout', 'killed', 'cancelled'] as const)
        hot(`stopping for ${reason} says so`, async () => {
          const container = await start(specOf('echo'))
          assert.equal((await container.stop(reason)).status, reason)
          assert.equal((await container.ended).status, reason)
        })

      hot('the first of two reasons to stop is the one', async () => {
        const container = await start(specOf('echo'))
        const [one, two] = await Promise.all([container.stop('timeout'), container.stop('killed')])
        assert.deepEqual([one.status, two.status], ['timeout', 'timeout'])
      })

      hot('its streams end with it', async () => {
        const container = await start(specOf('echo'))
        const sizes = Promise.all([sizeOf(container.stdout), sizeOf(container.stderr)])
        await container.stop('killed')
        assert.deepEqual(await sizes, [0, 0])
      })

      pausing('a paused container answers again once it is resumed', async () => {
        const container = await start(specOf('echo'))
        await container.pause(never)
        const answer = call(container, 'later')
        await container.resume(never)
        assert.equal((await answer).body, 'later')
      })

      pausing('a paused container can be stopped', async () => {
        const container = await start(specOf('echo'))
        await container.pause(never)
        assert.equal((await container.stop('killed')).status, 'killed')
      })
    })

    describe('life', () => {
      test('an aborted prepare makes nothing', async () => {
        await assert.rejects(driver.prepare(specOf('echo'), AbortSignal.abort()), { name: 'AbortError' })
      })

      test('a prepare that is aborted on its way leaves nothing', async () => {
        const abort = new AbortController()
        const preparing = driver.prepare(specOf('echo'), abort.signal)
        abort.abort()
        const cookie: Cookie | undefined = await preparing.catch((error) => {
          assert.equal(error.name, 'AbortError')
          return undefined
        })
        await cookie?.[Symbol.asyncDispose]()
      })

      test('a cookie that never ran is closed, twice', async () => {
        const cookie = await prepare(specOf('echo'))
        await cookie[Symbol.asyncDispose]()
        await cookie[Symbol.asyncDispose]()
      })

      test('an aborted run starts nothing', async () => {
        const cookie = await prepare(specOf('echo'))
        await assert.rejects(cookie.run(AbortSignal.abort()), { name: 'AbortError' })
      })

      test('a run that is aborted on its way ends what it started', async () => {
        const cookie = await prepare(specOf('silent'))
        const abort = new AbortController()
        const running = cookie.run(abort.signal)
        abort.abort()
        await assert.rejects(running, { name: 'AbortError' })
        assert.deepEqual(processesLeft(), [])
      })

      test('closing the cookie ends its container', async () => {
        const cookie = await prepare(specOf('echo'))
        const container = await cookie.run(never)
        await cookie[Symbol.asyncDispose]()
        assert.equal((await container.ended).status, 'cancelled')
      })

      test('a container may be disposed twice', async () => {
        const cookie = await prepare(specOf('echo'))
        const container = await cookie.run(never)
        await container[Symbol.asyncDispose]()
        await container[Symbol.asyncDispose]()
      })

      test('a cookie runs once', async () => {
        const cookie = await prepare(specOf('echo'))
        await cookie.run(never)
        await assert.rejects(cookie.run(never), { name: 'DriverError', fault: 'closed' })
      })

      test('a spec that names no container is refused', async () => {
        await assert.rejects(driver.prepare({ ...specOf('echo'), id: '../x' }, never), { fault: 'bad-spec' })
      })

      test('a source that it does not run is refused', async (t) => {
        if (driver.capabilities.runs.includes('image')) return t.skip('runs images')
        const spec: ContainerSpec = { ...specOf('echo'), source: { kind: 'image', ref: 'hello' } }
        await assert.rejects(driver.prepare(spec, never), { name: 'DriverError', fault: 'unsupported' })
      })

      test('a closed driver prepares nothing', async () => {
        const other = await make()
        await other[Symbol.asyncDispose]()
        await assert.rejects(other.prepare(specOf('echo'), never), { name: 'DriverError', fault: 'closed' })
      })
    })

    describe('functions', () => {
      code('a default export is served', async () => {
        const container = await start(specOf('handler'))
        const { body } = await call(container, 'hi', { 'Fn-Call-Id': 'c1' })
        assert.deepEqual(JSON.parse(body), { got: 'hi', fn: 'handler', callId: 'c1' })
      })

      code('a default export in TypeScript is served', async () => {
        const container = await start(specOf('typed'))
        assert.deepEqual(JSON.parse((await call(container, 'you')).body), { hello: 'you' })
      })

      code('an unmodified program on the FDK is served', async () => {
        await using bundle = await fdkBundle()
        const container = await start(specOf('fdk', { source: { kind: 'bundle', dir: bundle.dir } }))
        const { body } = await call(container, '{"a":1}', { 'Fn-Call-Id': 'c2' })
        assert.deepEqual(JSON.parse(body), { got: { a: 1 }, callId: 'c2' })
      })

      code('a program may bind the final name itself', async () => {
        const container = await start(specOf('direct'))
        assert.equal((await call(container, 'hello')).body, 'hello')
      })

      code('what the spec says arrives in the environment, and nothing of the node', async () => {
        process.env['SLUICE_SECRET_OF_THE_NODE'] = 'x'
        const container = await start(specOf('env', { env: { COLOUR: 'teal', EMPTY: '' } }))
        const env = JSON.parse((await call(container)).body)
        assert.deepEqual([env.COLOUR, env.EMPTY, env.FN_FORMAT], ['teal', '', 'http-stream'])
        assert.match(env.FN_LISTENER, /^unix:\/.*\/lsnr\.sock$/)
        assert.equal(env.SLUICE_SECRET_OF_THE_NODE, undefined)
        assert.notEqual(env.HOME, process.env['HOME'])
      })

      code('both streams are delivered, also a mebibyte of each', async () => {
        const container = await start(specOf('loud'))
        const sizes = Promise.all([sizeOf(container.stdout), sizeOf(container.stderr)])
        await call(container)
        await container.stop('killed')
        assert.deepEqual(await sizes, [1024 * 1024, 1024 * 1024])
      })

      code('one that ignores polite signals ends all the same', async () => {
        const container = await start(specOf('stubborn'))
        assert.equal((await call(container)).body, 'still here')
        assert.equal((await container.stop('timeout')).status, 'timeout')
        assert.deepEqual(processesLeft(), [])
      })

      code('one that ends before it is ready fails with its exit code and its last words', async () => {
        const error = await startError(specOf('exits', { env: { CODE: '7' } }))
        assert.equal(error.fault, 'exited')
        assert.deepEqual([error.result.status, error.result.exitCode], ['error', 7])
        assert.match(error.output, /some last words/)
        assert.match(error.output, /and some more/)
      })

      code('one that throws while loading fails with the reason', async () => {
        const error = await startError(specOf('broken'))
        assert.equal(error.fault, 'exited')
        assert.match(error.output, /cannot load func\.js: Error: broken on purpose/)
      })

      code('a bundle without an entry fails with the reason', async () => {
        const error = await startError(specOf('empty'))
        assert.equal(error.fault, 'exited')
        assert.match(error.output, /cannot find the entry of the function/)
      })

      code('one that is never ready runs into its limit', async () => {
        const error = await startError(specOf('silent', { startTimeout: 500 }))
        assert.equal(error.fault, 'timeout')
        assert.deepEqual(processesLeft(), [])
      })

      code('one that points its socket elsewhere is refused, and nobody connects there', async () => {
        await using outside = await listenOutside()
        const error = await startError(specOf('linked', { env: { OUTSIDE: outside.path } }))
        // Where links are forbidden it cannot even try.
        assert.ok(error.fault === 'bad-socket' || /ERR_ACCESS_DENIED|EPERM/.test(error.output), error.message)
        assert.equal(outside.connections(), 0)
      })
    })

    describe('cold', () => {
      cold('input goes in, output comes out', async (t) => {
        const spec = specOf(runsCode ? 'upper' : 'echo', { mode: 'cold' })
        if (runsCode && !driver.capabilities.runs.includes('bundle')) return t.skip('runs no bundles')
        const container = await start(spec)
        const { result, stdout } = await complete(container, 'hello')
        assert.equal(stdout, runsCode ? 'HELLO' : 'hello')
        assert.deepEqual([result.status, result.exitCode], ['success', 0])
      })

      code('a default export answers one call', async () => {
        const container = await start(specOf('typed', { mode: 'cold' }))
        assert.deepEqual(JSON.parse((await complete(container, 'you')).stdout), { hello: 'you' })
      })

      code('the exit code is the result', async () => {
        for (const exitCode of [0, 1, 2, 7, 126, 137, 255]) {
          const container = await start(specOf('exits', { mode: 'cold', env: { CODE: `${exitCode}` } }))
          const { result, stdout } = await complete(container)
          assert.equal(result.exitCode, exitCode)
          assert.equal(result.status, exitCode === 0 ? 'success' : 'error')
          assert.equal(result.error, exitCode === 0 ? undefined : `exit code ${exitCode}`)
          assert.equal(result.oom, false)
          assert.equal(stdout, 'some last words\n')
        }
      })

      code('one that runs too long is stopped', async () => {
        const container = await start(specOf('silent', { mode: 'cold', timeout: 200 }))
        assert.equal((await container.ended).status, 'timeout')
      })

      code('a command takes the place of the entry', async () => {
        const command = ['node', '-p', '6 * 7']
        const container = await start(specOf('upper', { mode: 'cold', command }))
        assert.equal((await complete(container)).stdout, '42\n')
      })
    })
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
