import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, describe, test } from 'node:test'
import { type EngineRig, engineRig } from '../../../test/support/docker-rig.ts'
import { type EngineName, testEngine } from '../../../test/support/engine.ts'
import { complete, never, specOf } from '../contract/support.ts'

const shell = (script: string) => specOf('same', { mode: 'cold', command: ['/bin/sh', '-c', script] })

for (const name of ['docker', 'podman'] as const satisfies EngineName[]) {
  const { host, skip } = testEngine(name)
  if (skip) test(`input by way of ${name}`, { skip }, () => {})
  else {
    const rig = await engineRig(host)
    after(() => rig[Symbol.asyncDispose]())
    describe(`input by way of ${name}`, () => suite(rig))
  }
}

function suite(rig: EngineRig): void {
  test('that a program leaves unread costs it no output, nor its end', async () => {
    await using driver = await rig.open({ holders: 0 })
    const ran = Array.from({ length: 5 }, async () => {
      await using cookie = await driver.prepare(shell('echo out; echo err >&2; exit 3'), never)
      const container = await cookie.run(never)
      const { result, stdout, stderr } = await complete(container, 'x'.repeat(1024 ** 2))
      assert.deepEqual([result.exitCode, stdout, stderr], [3, 'out\n', 'err\n'])
    })
    await Promise.all(ran)
  })

  test('arrives byte by byte, whatever the bytes mean to a terminal', async () => {
    await using driver = await rig.open({ holders: 0 })
    await using cookie = await driver.prepare(shell('exec cat'), never)
    const container = await cookie.run(never)
    const CTRL_P_CTRL_Q = [16, 17]
    for (const byte of [65, ...CTRL_P_CTRL_Q, 3, 4, 66]) {
      container.stdin?.write(Buffer.of(byte))
      const [echo] = await once(container.stdout, 'data')
      assert.deepEqual([...echo], [byte])
    }
    const { result, stderr } = await complete(container)
    assert.deepEqual([result.status, stderr], ['success', ''])
  })
}
