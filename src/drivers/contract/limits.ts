import assert from 'node:assert/strict'
import { dirname } from 'node:path'
import { code, cold, hot, isolates, limits, type Rig } from './rig.ts'
import { complete, processesLeft, specOf } from './support.ts'

const MIB = 1024 ** 2

interface Filled {
  readonly bytes: number
  readonly code?: string
}

/** What a function does against its limits, where the driver states that it keeps them. */
export function limitsContract({ it, prepare, probe, start }: Rig): void {
  it('memory: a spec that forgets it is refused', [], async () => {
    for (const memory of [undefined, Number.NaN] as unknown as number[])
      await assert.rejects(prepare(specOf('probe', { memory })), {
        fault: 'bad-spec',
        message: /^memory must be a number of bytes, 0 for no limit, got/,
      })
  })

  it('memory: one that takes too much is ended, and it says so', [hot, code, limits('memory')], async () => {
    const { ask, container } = await probe({ memory: 96 * MIB })
    const broken = assert.rejects(ask('eat'))
    const { status, oom, error } = await container.ended
    assert.deepEqual([status, oom, error], ['killed', true, 'out of memory error'])
    await broken
  })

  it('memory: one that takes too much at once says so as well', [cold, code, limits('memory')], async () => {
    const command = ['sh', '-c', 'exec tail /dev/zero || exec busybox tail /dev/zero']
    const ran = Array.from({ length: 6 }, async () => {
      const container = await start(specOf('same', { mode: 'cold', command, memory: 16 * MIB }))
      const { status, exitCode, oom, error } = (await complete(container)).result
      return [status, exitCode, oom, error]
    })
    const results = await Promise.all(ran)
    assert.deepEqual(
      results,
      results.map(() => ['killed', undefined, true, 'out of memory error']),
    )
  })

  it('memory: a child that takes too much harms nobody else', [hot, code, limits('memory')], async () => {
    const { ask, container } = await probe({ memory: 128 * MIB })
    const answer = ask('eatInChild').catch(() => undefined)
    const ended = await Promise.race([container.ended, answer.then(() => undefined)])
    // The kernel ends one process; whether the driver ends the rest with it is the driver's choice.
    if (ended) assert.deepEqual([ended.status, ended.oom], ['killed', true])
    else assert.notDeepEqual(await answer, { value: { status: 0, signal: null } })
  })

  it('memory: being killed is not running out of it', [hot, code, limits('memory')], async () => {
    const { container } = await probe({ memory: 96 * MIB })
    const { status, oom } = await container.stop('killed')
    assert.deepEqual([status, oom], ['killed', false])
  })

  it('pids: a fork bomb gets no more children than its limit', [hot, code, limits('pids')], async () => {
    const { get } = await probe({ pids: 40 })
    const children = await get<number>('fork', { children: 100 })
    assert.ok(children > 0 && children < 40, `${children} children`)
    assert.ok(processesLeft().length <= 41, 'outside there are no more than that') // and what set it up
  })

  it('cpu: one that spins gets no more than its share', [hot, code, limits('cpu')], async () => {
    const { get } = await probe({ cpus: 0.25 })
    const ms = await get<number>('burn', { ms: 1_000 })
    assert.ok(ms < 500, `${ms} ms of CPU time in 1000 ms`)
  })

  it('disk: its temporary folder takes what it may, and no more', [hot, code, limits('disk')], async () => {
    const { get } = await probe({ tmpfsSize: 4 * MIB })
    const { bytes, code } = await get<Filled>('fill', { upTo: 16 * MIB })
    assert.equal(code, 'ENOSPC')
    assert.ok(bytes > 0 && bytes <= 4 * MIB, `${bytes} bytes`)
  })

  it('disk: its shared memory takes 64 MiB at the most', [hot, code, limits('disk')], async () => {
    const { ask } = await probe({ memory: 256 * MIB })
    const { value, error } = await ask('fill', { upTo: 80 * MIB, dir: '/dev/shm' })
    if (error !== undefined) return assert.match(error, /^(EROFS|EACCES|EPERM|ENOENT)$/)
    const { bytes, code } = value as Filled
    assert.deepEqual([code, bytes <= 64 * MIB], ['ENOSPC', true], `${bytes} bytes`)
  })

  it(
    'disk: beside its socket it can write 64 KiB at the most',
    [hot, code, limits('disk'), isolates('files')],
    async () => {
      const { get } = await probe()
      const { env } = await get<{ env: Record<string, string> }>('identity')
      const dir = dirname(String(env['FN_LISTENER']).replace('unix:', ''))
      const { bytes, code } = await get<Filled>('fill', { upTo: MIB, dir })
      assert.deepEqual([code, bytes <= 64 * 1024], ['ENOSPC', true], `${bytes} bytes`)
    },
  )

  it('disk: nothing else can be written', [hot, code, limits('disk'), isolates('files')], async () => {
    const { ask, get } = await probe()
    const { cwd } = await get<{ cwd: string }>('identity')
    for (const dir of ['', cwd, '/etc', '/bin', '/usr', '/var', '/dev', '/run', '/proc', '/sys']) {
      const { error } = await ask('write', { path: `${dir}/canary`, text: 'x' })
      assert.match(String(error), /^(EROFS|EACCES|EPERM|ENOENT|ENOTDIR)$/, `${dir}/canary`)
    }
  })
}
