import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { complete, never, specOf } from '../../src/drivers/contract/support.ts'
import type { ContainerSpec, Driver } from '../../src/drivers/driver.ts'
import { buildRuntime, type Runtime } from '../../src/drivers/runtime/runtime.ts'
import { DEVICE, type Reach } from '../../src/drivers/sandbox/destinations.ts'
import { sandboxDriver } from '../../src/drivers/sandbox/sandbox.ts'
import { findUplink } from '../../src/drivers/sandbox/uplink.ts'
import { type Outside, openOutside } from '../support/outside.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/until.ts'
import { cannotTry, compile } from './program.ts'

/** Of four each, apart from those of another run of these tests. */
const at = (process.pid % 60) * 4
const PUBLIC = { here: `203.0.113.${at + 1}`, there: `203.0.113.${at + 2}`, later: `198.51.100.${at + 1}` }
const PRIVATE = { here: `10.213.77.${at + 1}`, there: `10.213.77.${at + 2}` }
const LINK_LOCAL = { here: `169.254.77.${at + 1}`, there: `169.254.77.${at + 2}` }

const EACCES = '13'

describe('a function with a network of its own', { skip: cannotTry() || lacking() }, () => {
  const held = new AsyncDisposableStack()
  let outside: Outside
  let ears: Ears
  let dir: string
  let runtime: Runtime
  let driver: Driver
  let here: Asking
  let inside: Asking

  const openDriver = async (name: string, reach?: Reach) => {
    const dataDir = join(dir, name)
    await mkdir(dataDir, { mode: 0o711 })
    return held.use(await sandboxDriver({ dataDir, clock: systemClock, runtime, ...(reach && { reach }) }))
  }
  const startIn = async (driver: Driver, changes: Partial<ContainerSpec> = {}): Promise<Asking> => {
    const source = { kind: 'bundle', dir: join(dir, 'bundle') } as const
    const spec = specOf('connects', {
      ...{ source, mode: 'cold', network: 'outbound' },
      ...changes,
      command: ['./connects'],
    })
    const container = await held.use(await driver.prepare(spec, never)).run(never)
    container.stderr.resume()
    return askingOf(container.stdin as NonNullable<typeof container.stdin>, container.stdout)
  }

  before(async () => {
    outside = held.use(await openOutside())
    for (const { here, there } of [PUBLIC, PRIVATE, LINK_LOCAL]) outside.join(here, there)
    ears = await listen(held)
    dir = held.use(await tempDir()).path
    await mkdir(join(dir, 'bundle'))
    const program = join(dir, 'bundle', 'connects')
    compile(join(import.meta.dirname, 'connects.c'), program)
    for (const path of [program, join(dir, 'bundle')]) await chmod(path, 0o755)
    runtime = await buildRuntime({
      dir: join(dir, 'runtime'),
      fdk: join(import.meta.dirname, '../../src/fdk'),
    })
    driver = await openDriver('data')
    const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
    held.defer(() => void child.kill('SIGKILL'))
    here = askingOf(child.stdin, child.stdout)
    inside = await startIn(driver)
  })
  after(() => held.disposeAsync())

  test('it reaches other machines, by TCP and by UDP', async () => {
    for (const protocol of ['tcp', 'udp'])
      assert.equal(await inside(`${protocol} ${PUBLIC.there} ${outside.port}`), 'ok', protocol)
  })

  test('it reaches no address of this machine, whatever way it asks', async () => {
    const addresses = [
      ...Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
      ...['127.0.0.1', '127.8.8.8', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1', `::ffff:${PUBLIC.here}`],
      ...Object.values({ PUBLIC, PRIVATE, LINK_LOCAL }).map(({ here }) => here),
    ]
    for (const address of new Set(addresses)) {
      if (address.startsWith('fe80:')) continue // needs a device, and the control has none
      for (const protocol of ['tcp', 'udp']) {
        const asked = `${protocol} ${address} ${ears.port}`
        const before = ears.heard()
        await here(asked)
        assert.ok(ears.heard() > before, `${asked} is there`)
        for (const how of [asked, `${asked} ${DEVICE}`]) {
          const heard = ears.heard()
          assert.notEqual(await inside(how), 'ok', how)
          assert.equal(ears.heard(), heard, how)
        }
      }
    }
  })

  test('it is told so at once', async () => {
    assert.equal(await inside(`tcp ${PUBLIC.here} ${ears.port}`), EACCES)
  })

  test('what its own way out could lead to is closed', async () => {
    for (const last of [0, 1, 2, 3, 100, 255])
      for (const device of ['', DEVICE])
        for (const protocol of ['tcp', 'udp']) {
          const heard = ears.heard()
          assert.notEqual(await inside(`${protocol} 240.0.0.${last} ${ears.port} ${device}`), 'ok')
          assert.equal(ears.heard(), heard)
        }
  })

  test('groups and broadcasts do not get out', async () => {
    const heard = ears.heard()
    for (const address of ['224.0.0.1', '239.1.2.3', '255.255.255.255', `203.0.113.${at + 3}`])
      for (const device of ['', DEVICE])
        assert.notEqual(await inside(`udp ${address} ${ears.port} ${device}`), 'ok', address)
    assert.equal(ears.heard(), heard)
  })

  test('it reaches no link-local and no private address, though this machine does', async () => {
    for (const { there } of [LINK_LOCAL, PRIVATE])
      for (const protocol of ['tcp', 'udp']) {
        const asked = `${protocol} ${there} ${outside.port}`
        assert.equal(await here(asked), 'ok', asked)
        for (const how of [asked, `${asked} ${DEVICE}`]) assert.notEqual(await inside(how), 'ok', how)
      }
  })

  test('it reaches the private addresses that are allowed, and not the public ones that are denied', async () => {
    const reach = { allow: [`${PRIVATE.there}/30`], deny: [PUBLIC.there] }
    const inside = await startIn(await openDriver('told', reach))
    assert.equal(await inside(`tcp ${PRIVATE.there} ${outside.port}`), 'ok')
    assert.equal(await inside(`tcp ${PUBLIC.there} ${outside.port}`), EACCES)
    // The machine's own stay closed, also in a range that is open.
    assert.equal(await inside(`tcp ${PRIVATE.here} ${ears.port}`), EACCES)
  })

  test('an address that this machine gets later is closed too', async () => {
    outside.alias(PUBLIC.later)
    const asked = `tcp ${PUBLIC.later} ${ears.port}`
    assert.equal(await here(asked), 'ok')
    await until('it is closed', async () => (await inside(asked)) === EACCES)
  })

  test('each has a network of its own', async () => {
    const networks = await Promise.all(
      [1, 2].map(async () => {
        const command = ['sh', '-c', 'readlink /proc/self/ns/net']
        const spec = specOf('upper', { mode: 'cold', network: 'outbound', command })
        const container = await held.use(await driver.prepare(spec, never)).run(never)
        return (await complete(container)).stdout.trim()
      }),
    )
    assert.equal(new Set([...networks, readlinkSync('/proc/self/ns/net')]).size, 3)
  })

  test('what carries its packets has no rights, counts as the container’s and ends with it', async () => {
    const spec = specOf('upper', { mode: 'cold', network: 'outbound', command: ['sh', '-c', 'read line'] })
    await using cookie = await driver.prepare(spec, never)
    const container = await cookie.run(never)
    container.stdout.resume()
    container.stderr.resume()
    const [carrier, ...more] = carriersOf(spec.id)
    assert.ok(carrier && more.length === 0)
    const status = readFileSync(`/proc/${carrier}/status`, 'utf8')
    const rights = BigInt(`0x${/^CapEff:\s*(.*)$/m.exec(status)?.[1]}`)
    assert.equal(rights & ~CAP_NET_BIND_SERVICE, 0n)
    assert.match(status, /^Seccomp:\s*2$/m)
    await container.stop('killed')
    assert.deepEqual(carriersOf(spec.id), [])
    assert.equal(existsSync(`/proc/${carrier}/exe`), false)
  })
})

const CAP_NET_BIND_SERVICE = 1n << 10n

/** By their control group. */
function carriersOf(id: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const program = readFileSync(`/proc/${pid}/comm`, 'utf8')
      return program === 'slirp4netns\n' && readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${id}\n`)
    } catch {
      return false
    }
  })
}

/** Asks `connects.c` for one connection, and gives its answer. */
type Asking = (line: string) => Promise<string>

function askingOf(stdin: Writable, stdout: Readable): Asking {
  const lines = createInterface(stdout)[Symbol.asyncIterator]()
  return async (line) => {
    stdin.write(`${line}\n`)
    return (await lines.next()).value ?? 'ended'
  }
}

/** Everything that listens on this machine, as an API or an admin port would. */
interface Ears {
  readonly port: number
  /** Calls and packets so far. */
  heard(): number
}

async function listen(held: AsyncDisposableStack): Promise<Ears> {
  let heard = 0
  const server = createServer((socket) => {
    heard++
    socket.on('error', () => {})
    socket.once('data', () => socket.end('!'))
  })
  server.listen(0, '::')
  await once(server, 'listening')
  held.defer(() => void server.close())
  const { port } = server.address() as AddressInfo
  const udp = createSocket('udp6')
  udp.on('message', (_, from) => {
    heard++
    udp.send('!', from.port, from.address)
  })
  udp.bind(port, '::')
  await once(udp, 'listening')
  held.defer(() => void udp.close())
  return { port, heard: () => heard }
}

function lacking(): string | false {
  const tools = findUplink()
  return 'missing' in tools && tools.missing
}
