import assert from 'node:assert/strict'
import { sleep, systemClock } from '../../core/clock.ts'
import { type ContainerSpec, type Cookie, SPEC_OPTIONS, type SpecOption } from '../driver.ts'
import { code, cold, hot, type Need, type Rig } from './rig.ts'
import { call, never, processesLeft, specOf } from './support.ts'

/** From prepare to dispose, and what may break it off. */
export function lifeContract(rig: Rig): void {
  const { it, prepare, start } = rig

  it('an aborted prepare makes nothing', [], async () => {
    await assert.rejects(rig.driver.prepare(specOf('echo'), AbortSignal.abort()), { name: 'AbortError' })
  })

  it('a prepare that is aborted at any point leaves nothing', [], async () => {
    for (const wait of waits()) {
      const abort = new AbortController()
      const reason = new Error('enough')
      const preparing = rig.driver.prepare(specOf('echo'), abort.signal)
      const settled = preparing.then(
        (cookie) => cookie[Symbol.asyncDispose](),
        (error) => assert.equal(error, reason),
      )
      await wait()
      abort.abort(reason)
      await settled
    }
  })

  it('a run that is aborted at any point ends what it started', [hot], async () => {
    for (const wait of waits()) {
      const cookie = await prepare(specOf('silent'))
      const abort = new AbortController()
      const reason = new Error('enough')
      const running = cookie.run(abort.signal)
      const settled = running.then(
        (container) => container[Symbol.asyncDispose](),
        (error) => assert.equal(error, reason),
      )
      await wait()
      abort.abort(reason)
      await settled
      assert.deepEqual(processesLeft(), [])
      await cookie[Symbol.asyncDispose]()
    }
  })

  it('an abort after it has started does nothing to a container', [hot], async () => {
    const abort = new AbortController()
    const container = await (await prepare(specOf('echo'))).run(abort.signal)
    abort.abort()
    assert.equal((await call(container, 'still')).body, 'still')
  })

  it('a cookie that never ran is closed, twice', [], async () => {
    const cookie = await prepare(specOf('echo'))
    await Promise.all([cookie[Symbol.asyncDispose](), cookie[Symbol.asyncDispose]()])
    await cookie[Symbol.asyncDispose]()
  })

  it('a closed cookie does not run', [], async () => {
    const cookie = await prepare(specOf('echo'))
    await cookie[Symbol.asyncDispose]()
    await assert.rejects(cookie.run(never), { name: 'DriverError', fault: 'closed' })
  })

  it('a cookie that is closed while it starts ends what it started', [hot, code], async () => {
    const cookie = await prepare(specOf('silent'))
    const running = assert.rejects(cookie.run(never))
    await sleep(systemClock, 50)
    await cookie[Symbol.asyncDispose]()
    await running
    assert.deepEqual(processesLeft(), [])
  })

  it('a cookie that is closed at once after run yields no container', [], async () => {
    const cookie = await prepare(specOf('echo'))
    const running = cookie.run(never)
    const refused = assert.rejects(running, { name: 'DriverError', fault: 'closed' })
    await cookie[Symbol.asyncDispose]()
    await refused
    assert.deepEqual(processesLeft(), [])
  })

  it('a cookie that is closed at any point of its start leaves nothing running', [hot], async () => {
    for (const wait of waits()) {
      const cookie = await prepare(specOf('echo'))
      const running = cookie.run(never).then(
        (container) => container,
        (error) => void assert.equal(error.fault, 'closed', String(error)),
      )
      await wait()
      await cookie[Symbol.asyncDispose]()
      assert.deepEqual(processesLeft(), [])
      const container = await running
      if (container) assert.equal((await container.ended).status, 'cancelled')
    }
  })

  it('an aborted run starts nothing', [], async () => {
    const cookie = await prepare(specOf('echo'))
    await assert.rejects(cookie.run(AbortSignal.abort()), { name: 'AbortError' })
  })

  it('closing the cookie ends its container', [hot], async () => {
    const cookie = await prepare(specOf('echo'))
    const container = await cookie.run(never)
    await cookie[Symbol.asyncDispose]()
    assert.equal((await container.ended).status, 'cancelled')
  })

  it('a container may be disposed twice, also at once with its cookie', [hot], async () => {
    const cookie = await prepare(specOf('echo'))
    const container = await cookie.run(never)
    await Promise.all([container[Symbol.asyncDispose](), cookie[Symbol.asyncDispose]()])
    await container[Symbol.asyncDispose]()
    assert.equal((await container.ended).status, 'cancelled')
  })

  it('stopping what has ended changes nothing', [cold], async () => {
    const container = await start(specOf('same', { mode: 'cold' }))
    container.stdout.resume()
    container.stderr.resume()
    container.stdin?.end()
    assert.equal((await container.ended).status, 'success')
    assert.equal((await container.stop('killed')).status, 'success')
  })

  it('a cookie runs once', [hot], async () => {
    const cookie = await prepare(specOf('echo'))
    await cookie.run(never)
    await assert.rejects(cookie.run(never), { name: 'DriverError', fault: 'closed' })
  })

  it('the start is told on the clock of the driver', [hot], async () => {
    const before = systemClock.now()
    const container = await start(specOf('echo'))
    const { startedAt } = await container.stop('killed')
    assert.ok(startedAt >= before && startedAt <= systemClock.now(), `${startedAt}`)
  })

  it('a spec that names no container is refused', [], async () => {
    await assert.rejects(rig.driver.prepare({ ...specOf('echo'), id: '../x' }, never), { fault: 'bad-spec' })
  })

  it('a source that it does not run is refused', [lacks('runs', ['bundle', 'image'])], async () => {
    const sources = [{ kind: 'image', ref: 'hello' } as const, specOf('echo').source]
    for (const source of sources)
      if (!rig.driver.capabilities.runs.includes(source.kind)) await refused({ source })
  })

  it('a mode that it does not have is refused', [lacks('modes', ['hot', 'cold'])], async () => {
    for (const mode of ['hot', 'cold'] as const)
      if (!rig.driver.capabilities.modes.includes(mode)) await refused({ mode })
  })

  it('an option that it does not support is refused', [lacks('options', SPEC_OPTIONS)], async () => {
    for (const option of SPEC_OPTIONS)
      if (!rig.driver.capabilities.options.includes(option)) await refused(EXAMPLES[option])
  })

  async function refused(changes: Partial<ContainerSpec>) {
    const cookie: Promise<Cookie> = rig.driver.prepare(specOf('echo', changes), never)
    await assert.rejects(cookie, { name: 'DriverError', fault: 'unsupported' }, JSON.stringify(changes))
  }
}

const EXAMPLES: Readonly<Record<SpecOption, Partial<ContainerSpec>>> = {
  cpuShares: { cpuShares: 512 },
  extraHosts: { extraHosts: { 'db.example': '10.1.2.3' } },
  logLimit: { logLimit: 1_000 },
  user: { user: '1234:1234' },
  volumes: { volumes: [{ source: '/usr', target: '/data', readOnly: true }] },
  writableRoot: { writableRoot: true },
}

/** The last of all: afterwards there is no driver. */
export function closingContract(rig: Rig): void {
  rig.it('closing a driver ends its containers, twice is fine, and it prepares no more', [hot], async () => {
    const { driver } = rig
    const cookie = await rig.prepare(specOf('echo'))
    const container = await cookie.run(never)
    await Promise.all([driver[Symbol.asyncDispose](), driver[Symbol.asyncDispose]()])
    assert.equal((await container.ended).status, 'cancelled')
    await cookie[Symbol.asyncDispose]()
    await assert.rejects(driver.prepare(specOf('echo'), never), { name: 'DriverError', fault: 'closed' })
  })
}

/** There is something that it does not have, and so has to refuse. */
const lacks =
  (list: 'runs' | 'modes' | 'options', all: readonly string[]): Need =>
  (capabilities) => {
    const has: readonly string[] = capabilities[list]
    return all.every((word) => has.includes(word)) ? `has all of ${list}` : undefined
  }

/** Points in time after something was begun: some turns of the queue, and some milliseconds. */
function* waits(): Generator<() => Promise<void>> {
  for (const turns of [0, 1, 3, 8])
    yield async () => {
      for (let i = 0; i < turns; i++) await undefined
    }
  for (const ms of [1, 10, 50, 200]) yield () => sleep(systemClock, ms)
}
