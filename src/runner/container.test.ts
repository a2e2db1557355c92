import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeDefinition } from '../../test/support/definitions.ts'
import { callOf, driverOf, never, runIn, setUp, turn } from '../../test/support/runner-rig.ts'
import { FakeContainer } from '../../test/support/stdio-rig.ts'
import { until } from '../../test/support/until.ts'
import { SluiceError } from '../core/errors.ts'
import type { LogLine } from '../core/log-sink.ts'

test('a caller who reads slowly gets the whole answer of a container that has ended long before', async (t) => {
  const fake = new FakeContainer().listen()
  const { runner } = setUp(t, {}, { driver: driverOf(fake) })
  const slot = await runner.acquire({ definition: makeDefinition({ format: 'default' }), arrived: 0 }, never)
  const { promise: over, resolve } = Promise.withResolvers<SluiceError | undefined>()
  let size = 0
  const exchange = runner.run(slot, callOf(), {
    started: () => {},
    head: () => {},
    data: (chunk) => {
      size += chunk.length
      return false
    },
    end: () => resolve(undefined),
    fail: resolve,
  })
  const pieces = 64
  for (let i = 0; i < pieces; i++) fake.say(Buffer.alloc(64 * 1024))
  fake.exit()
  await fake.ended
  await turn()
  assert.ok(size > 0 && size < pieces * 64 * 1024, 'the answer is on its way')
  let done = false
  void over.then(() => {
    done = true
  })
  while (!done) {
    exchange.resume()
    await turn()
  }
  assert.deepEqual([await over, size], [undefined, pieces * 64 * 1024])
  await until('the container to be let go', () => runner.resources.used.memory === 0)
})

test('a container that ended while a slot of it was held serves nobody', async (t) => {
  const fake = new FakeContainer().listen()
  const { runner, clock } = setUp(t, {}, { driver: driverOf(fake) })
  const fn = makeDefinition({ format: 'http' })
  const slot = await runner.acquire({ definition: fn, arrived: 0 }, never)
  fake.exit()
  await fake.ended
  await turn()
  runner.release(slot)
  assert.equal(runner.tryAcquire(fn, clock.now()), undefined)
})

test('a line that a function prints is known by its call, and between calls by its container', async (t) => {
  const fake = new FakeContainer().listen()
  const driver = driverOf(fake)
  const lines: LogLine[] = []
  const { runner, clock } = setUp(t, {}, { driver, sink: { write: (line) => lines.push(line) } })
  const fn = makeDefinition({ format: 'http' })
  const slot = await runner.acquire({ definition: fn, arrived: 0 }, never)
  const printed = async (text: string) => {
    fake.stderr.write(`${text}\n`)
    return until('the line', () => lines.find((line) => line.text === text))
  }
  assert.equal((await printed('before')).callId, undefined)
  const { answer } = runIn(runner, slot)
  const { at, app, callId, container, shared, stream } = await printed('during')
  assert.deepEqual(
    { at, app: app.name, fn: fn.fn.name, callId, shared, stream },
    { at: clock.wall(), app: 'shop', fn: 'cart', callId: 'CALL', shared: false, stream: 'stderr' },
  )
  assert.equal(container, runner.starts()[0]?.container)
  fake.say('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  await answer
  clock.advance(5_000)
  assert.equal((await printed('after')).callId, undefined)
})

test('where calls share a container its lines are known by that alone, and say so', async (t) => {
  const lines: LogLine[] = []
  const fake = new FakeContainer()
  const { runner } = setUp(
    t,
    {},
    { driver: driverOf(fake, '/nowhere'), sink: { write: (line) => lines.push(line) } },
  )
  const fn = makeDefinition({ concurrency: 2 })
  const slot = await runner.acquire({ definition: fn, arrived: 0 }, never)
  const { exchange, answer } = runIn(runner, slot)
  fake.stderr.write('whose?\n')
  const line = await until('the line', () => lines[0])
  assert.deepEqual([line.text, line.callId, line.shared], ['whose?', undefined, true])
  exchange.abort(new SluiceError('client-gone'))
  await answer
})
