import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { importContractImage } from '../../../test/support/docker-rig.ts'
import { testEngine } from '../../../test/support/engine.ts'
import { startEngine } from '../../../test/support/engine-process.ts'
import { systemClock } from '../../core/clock.ts'
import { never, specOf } from '../contract/support.ts'
import { dockerDriver } from './docker.ts'

const { skip } = testEngine('docker')

test('an engine that is stopped and started during a call does not hang it', { skip }, async (t) => {
  const engine = await startEngine(t)
  await importContractImage(engine.docker, 'localhost/restart')
  const options = { host: engine.host, dataDir: engine.dir, clock: systemClock, random: () => 0.5 }
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
  assert.deepEqual(await engine.docker.containers(), [])
})

/** Ends in its own way when the engine tells it to, which it does before it stops. */
const SCRIPT = 'trap "exit 5" TERM; echo on; while :; do read -t 1 never; done'
