import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { folder } from './boundaries.ts'
import { code, honours, hot, type Rig } from './rig.ts'
import { call, never, specOf } from './support.ts'

/** The fields of a spec that say how a container is, each where the driver honours it. */
export function optionsContract(rig: Rig): void {
  const { it, probe, start } = rig

  it('workDir and labels are taken', [hot, code], async () => {
    const { get } = await probe({ workDir: '/tmp', labels: { team: 'blue', 'with.dots': 'and spaces' } })
    assert.equal((await get<{ cwd: string }>('identity')).cwd, '/tmp')
  })

  it('a bundle that is not there is refused', [hot, code], async () => {
    const source = { kind: 'bundle', dir: '/no/such/folder' } as const
    await assert.rejects(rig.driver.prepare(specOf('echo', { source }), never), { fault: 'bad-spec' })
  })

  it('cpuShares are taken', [hot, code, honours('cpuShares')], async () => {
    const { get } = await probe({ cpuShares: 512 })
    assert.equal(await get('writeTemporary'), 'mine')
  })

  it('extraHosts resolve', [hot, code, honours('extraHosts')], async () => {
    const { get } = await probe({ extraHosts: { 'db.example': '10.1.2.3', other: '10.1.2.4' } })
    assert.equal(await get('lookup', { name: 'db.example' }), '10.1.2.3')
    assert.equal(await get('lookup', { name: 'other' }), '10.1.2.4')
    assert.equal(await get('lookup', { name: 'localhost' }).then(String), '127.0.0.1')
  })

  it(
    'logLimit cuts the log of a hot container, which goes on',
    [hot, code, honours('logLimit')],
    async () => {
      const container = await start(specOf('loud', { logLimit: 10_000 }))
      const log = Promise.all([text(container.stdout), text(container.stderr)])
      await call(container)
      await call(container)
      await container.stop('killed')
      const both = (await log).join('')
      const note = '[sluice] log limit of 10000 bytes reached, the rest is dropped\n'
      assert.equal(both.split(note).length, 2)
      assert.equal(both.replace(/\n?\[sluice\].*\n/, '').length, 10_000)
    },
  )

  it('logLimit leaves the answer of a cold container alone', [code, honours('logLimit')], async () => {
    const container = await start(specOf('loud', { mode: 'cold', logLimit: 10_000 }))
    container.stdin?.end()
    const [answer, log] = await Promise.all([text(container.stdout), text(container.stderr)])
    assert.ok(answer.length >= 1024 * 1024)
    assert.match(log.slice(10_000), /^\n\[sluice\] log limit of 10000 bytes reached/)
  })

  it('user is who it is', [hot, code, honours('user')], async () => {
    const { get } = await probe({ user: '1234:1235' })
    const { uid, gid } = await get<{ uid: number; gid: number }>('identity')
    assert.deepEqual([uid, gid], [1234, 1235])
    assert.equal(await get('writeTemporary'), 'mine')
  })

  it(
    'volumes can be read, and written unless they are read-only',
    [hot, code, honours('volumes')],
    async () => {
      await using shared = await folder()
      await writeFile(join(shared.path, 'given'), 'from outside', { mode: 0o644 })
      await chmod(shared.path, 0o777)
      const { ask, get } = await probe({
        volumes: [
          { source: shared.path, target: '/data/rw', readOnly: false },
          { source: shared.path, target: '/data/ro', readOnly: true },
        ],
      })
      assert.equal(await get('read', { path: '/data/ro/given' }), 'from outside')
      await get('write', { path: '/data/rw/made', text: 'from inside' })
      assert.equal(await readFile(join(shared.path, 'made'), 'utf8'), 'from inside')
      assert.equal((await ask('write', { path: '/data/ro/made', text: 'no' })).error, 'EROFS')
    },
  )

  it(
    'writableRoot can be written, and stays its own',
    [hot, code, honours('writableRoot'), honours('user')],
    async () => {
      const changes = { writableRoot: true, user: '0:0' }
      const one = await probe(changes)
      await one.get('write', { path: '/etc/made', text: 'here' })
      assert.equal(await one.get('read', { path: '/etc/made' }), 'here')
      const other = await probe(changes)
      assert.equal((await other.ask('read', { path: '/etc/made' })).error, 'ENOENT')
    },
  )
}
