import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NETWORKS, type Network } from '../driver.ts'
import { code, gives, honours, hot, isolates, type Rig } from './rig.ts'
import { specOf } from './support.ts'

/** What of the machine a function cannot reach, where the driver states so. */
export function boundaryContract(rig: Rig): void {
  const { it, prepare, probe } = rig

  it('it can write into its temporary folder', [hot, code], async () => {
    const { get } = await probe()
    assert.equal(await get('writeTemporary'), 'mine')
  })

  it('files: those of the machine cannot be read', [hot, code, isolates('files')], async () => {
    await using canary = await folder()
    const path = join(canary.path, 'canary')
    await writeFile(path, 'sings', { mode: 0o644 })
    const { ask, get } = await probe()
    const { cwd } = await get<{ cwd: string }>('identity')
    for (const way of [path, `${cwd}/../../../..${path}`, `/proc/1/root${path}`, `/proc/self/root${path}`])
      assert.notEqual((await ask('read', { path: way })).value, 'sings', way)
  })

  it('processes: those of the machine cannot be seen', [hot, code, isolates('processes')], async () => {
    const { get } = await probe()
    const lines = await get<string[]>('processes')
    assert.ok(
      lines.some((line) => line.includes('node')),
      'it sees itself',
    )
    assert.deepEqual(
      lines.filter((line) => line.includes('.contract.test.')),
      [],
    )
    assert.ok(lines.length < 10, `it sees ${lines.length}`)
  })

  it('network: a spec that forgets or misspells it is refused', [], async () => {
    for (const network of [undefined, '', 'bridge', 'None', 'toString'] as unknown as Network[])
      await assert.rejects(prepare(specOf('probe', { network })), {
        fault: 'bad-spec',
        message: /^network must be one of none, outbound, host/,
      })
  })

  it('network: one that is not stated is refused', [isolates('network')], async () => {
    const missing = NETWORKS.filter((network) => !rig.driver.capabilities.networks.includes(network))
    for (const network of missing)
      await assert.rejects(prepare(specOf('probe', { network })), { fault: 'unsupported' })
  })

  it('network none: there is loopback at the most', [hot, code, isolates('network')], async () => {
    const { get } = await probe({ network: 'none' })
    assert.deepEqual(
      (await get<string[]>('interfaces')).filter((name) => name !== 'lo'),
      [],
    )
  })

  it('network none: nobody on the machine can be reached', [hot, code, isolates('network')], async () => {
    await using port = await listen({ host: '127.0.0.1', port: 0 })
    await using abstract = await listen({ path: `\0sl-contract-${process.pid}` })
    const { ask } = await probe({ network: 'none' })
    for (const { to } of [port, abstract])
      assert.equal((await ask('connect', { to })).value, undefined, JSON.stringify(to))
    assert.deepEqual([port.connections(), abstract.connections()], [0, 0])
  })

  it(
    'network outbound: nobody on the machine’s loopback can be reached, nor by a name of its own',
    [hot, code, isolates('network'), gives('outbound')],
    async () => {
      await using port = await listen({ host: '127.0.0.1', port: 0 })
      await using abstract = await listen({ path: `\0sl-contract-${process.pid}` })
      const { ask, get } = await probe({ network: 'outbound' })
      const others = (await get<string[]>('interfaces')).filter((name) => name !== 'lo')
      // An engine that was started without a bridge has none to give.
      assert.ok(others.length === 1 || rig.driver.name === 'docker', 'it has a way out')
      assert.ok(others.length <= 1, others.join())
      for (const { to } of [port, abstract])
        assert.equal((await ask('connect', { to })).value, undefined, JSON.stringify(to))
      assert.deepEqual([port.connections(), abstract.connections()], [0, 0])
    },
  )

  it('network host: the machine can be reached', [hot, code, gives('host')], async () => {
    await using port = await listen({ host: '127.0.0.1', port: 0 })
    const { get } = await probe({ network: 'host' })
    assert.equal(await get('connect', { to: port.to }), 'connected')
  })

  it('users: inside it is 1000, unless told otherwise', [hot, code, isolates('users')], async () => {
    const { get } = await probe()
    const { uid, gid } = await get<{ uid: number; gid: number }>('identity')
    assert.deepEqual([uid, gid], [1000, 1000])
  })

  it('users: it has no rights of root, and can get none', [hot, code, isolates('users')], async () => {
    const { get } = await probe()
    const status = statusOf(await get<string>('read', { path: '/proc/self/status' }))
    assert.deepEqual([Number(`0x${status['CapEff']}`), Number(`0x${status['CapBnd']}`)], [0, 0])
    assert.equal(status['NoNewPrivs'], '1')
  })

  it('calls: a filter is on', [hot, code, isolates('calls')], async () => {
    const { get } = await probe()
    const status = statusOf(await get<string>('read', { path: '/proc/self/status' }))
    assert.equal(status['Seccomp'], '2')
  })

  it(
    'users: what it makes belongs to no user with rights',
    [hot, code, isolates('users'), honours('volumes')],
    async () => {
      await using shared = await folder()
      await chmod(shared.path, 0o777)
      const { get } = await probe({ volumes: [{ source: shared.path, target: '/data', readOnly: false }] })
      await get('write', { path: '/data/made', text: 'x' })
      assert.deepEqual(await readdir(shared.path), ['made'])
      assert.notEqual((await stat(join(shared.path, 'made'))).uid, 0)
    },
  )
}

/** What the kernel says of a process. */
const statusOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(text.split('\n').map((line) => line.split(/:\s*/, 2) as [string, string]))

/** A folder of the machine that everybody may search. */
export async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'sl-'))
  await chmod(path, 0o755)
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

type Address = { readonly host: string; readonly port: number } | { readonly path: string }

interface Listener extends AsyncDisposable {
  readonly to: Address
  connections(): number
}

async function listen(address: Address): Promise<Listener> {
  let count = 0
  const server: Server = createServer((connection) => {
    count++
    connection.destroy()
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(address, resolve))
  const bound = server.address()
  const to =
    'host' in address && bound && typeof bound === 'object' ? { ...address, port: bound.port } : address
  return {
    to,
    connections: () => count,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
