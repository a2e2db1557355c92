import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { test } from 'node:test'
import { engineRig } from '../../../test/support/docker-rig.ts'
import { testEngine } from '../../../test/support/engine.ts'
import { startEngine } from '../../../test/support/engine-process.ts'
import { call, never, specOf } from '../contract/support.ts'
import type { Container } from '../driver.ts'

const { skip } = testEngine('docker')

test('an engine that is killed during calls and started again hangs nobody', { skip }, async (t) => {
  const engine = await startEngine(t)
  await using rig = await engineRig(engine.host)
  const options = { holders: 0, random: () => 0.001 } // hardly waits before it tries again
  const unavailable = { name: 'DriverError', fault: 'engine-gone' }

  // It does no more than this: as if its node had been killed together with the engine.
  const killed = await rig.open(options)
  const left = specOf('echo')
  await killed.prepare(left, never)
  await engine.docker.start(`sluice-${left.id}`)
  {
    await using driver = await rig.open({ ...options, dataDir: engine.dir })
    await using hot = await driver.prepare(specOf('echo'), never)
    await using cold = await driver.prepare(specOf('silent', { mode: 'cold' }), never)
    await using late = await driver.prepare(specOf('echo'), never)
    const serving = await hot.run(never)
    const running = await cold.run(never)
    const answer = await holdCall(serving)
    const broken = assert.rejects(once(answer.resume(), 'end'), { code: 'ECONNRESET' })

    await engine.kill()
    await assert.rejects(driver.prepare(specOf('echo'), never), unavailable)
    await assert.rejects(late.run(never), unavailable)
    await assert.rejects(serving.pause(never), unavailable)

    await engine.start()
    for (const { status, oom } of await Promise.all([serving.ended, running.ended]))
      assert.deepEqual({ status, oom }, { status: 'error', oom: false })
    await broken
    await using next = await driver.prepare(specOf('echo'), never)
    assert.equal((await call(await next.run(never), 'hello')).body, 'hello')
  }
  assert.deepEqual(await rig.left(engine.dir), [])
  assert.equal((await rig.left()).length, 1)
  await using _next = await rig.open(options)
  assert.deepEqual(await rig.left(), [])
  await killed[Symbol.asyncDispose]()
})

/** A call that has begun to be answered, and will not be before its request ends. */
async function holdCall({ socket }: Container): Promise<IncomingMessage> {
  const req = request({ socketPath: socket as string, method: 'POST', path: '/call', agent: false })
  req.on('error', () => {}) // told by the answer
  req.write('hello')
  const [answer] = (await once(req, 'response')) as [IncomingMessage]
  await once(answer, 'data')
  return answer
}
