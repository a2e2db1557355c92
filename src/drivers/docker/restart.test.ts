import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import Dockerode from 'dockerode'
import { importContractImage } from '../../../test/support/docker-rig.ts'
import { testEngine } from '../../../test/support/engine.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { until } from '../../../test/support/until.ts'
import { systemClock } from '../../core/clock.ts'
import { never, specOf } from '../contract/support.ts'
import { dockerDriver } from './docker.ts'

const { skip } = testEngine('docker')

test('an engine that is stopped and started during a call does not hang it', { skip }, async () => {
  await using dir = await tempDir()
  await using engine = await startEngine(dir.path)
  await importContractImage(engine.docker, 'localhost/restart')
  const options = { host: engine.host, dataDir: dir.path, clock: systemClock, random: () => 0.5 }
  await using driver = await dockerDriver(options)
  const source = { kind: 'image', ref: 'localhost/restart' } as const
  const spec = specOf('x', { mode: 'cold', source, command: ['/bin/sh', '-c', SCRIPT] })
  await using cookie = await driver.prepare(spec, never)
  const container = await cookie.run(never)
  await once(container.stdout, 'readable')
  await engine.stop()
  await engine.start()
  const { status, exitCode, oom } = await container.ended
  assert.deepEqual({ status, exitCode, oom }, { status: 'error', exitCode: 5, oom: false })
  await cookie[Symbol.asyncDispose]()
  assert.deepEqual(await engine.docker.listContainers({ all: true }), [])
})

/** Ends in its own way when the engine tells it to, which it does before it stops. */
const SCRIPT = 'trap "exit 5" TERM; echo on; while :; do read -t 1 never; done'

/** A Docker engine of our own, which may be stopped. */
async function startEngine(dir: string) {
  const host = `unix://${dir}/s`
  let child: ChildProcess | undefined
  const docker = new Dockerode({ socketPath: `${dir}/s`, host: undefined } as object)
  const start = async () => {
    const places = [
      '--data-root',
      join(dir, 'data'),
      '--exec-root',
      join(dir, 'x'),
      '--pidfile',
      join(dir, 'p'),
    ]
    child = spawn('dockerd', [...places, '-H', host, '--iptables=false', '--bridge=none'], {
      stdio: 'ignore',
    })
    await until('dockerd', () => docker.ping().then(Boolean, () => false), 40_000)
  }
  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }
  await start()
  return {
    host,
    docker,
    start,
    stop: () => end('SIGTERM'),
    async [Symbol.asyncDispose]() {
      await end('SIGTERM')
      const mounts = readFileSync('/proc/mounts', 'utf8')
        .split('\n')
        .map((line) => line.split(' ')[1] ?? '')
      for (const mount of mounts.filter((path) => path.startsWith(`${dir}/`)).reverse())
        execFileSync('umount', ['-l', mount])
    },
  }
}
