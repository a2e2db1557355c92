import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import {
  answered,
  assertRefuses,
  assertServes,
  call,
  HELLO,
  heardHead,
} from '../../../test/support/http-rig.ts'
import { bodyOf } from '../../../test/support/stdio-rig.ts'
import { until } from '../../../test/support/until.ts'
import { SluiceError } from '../../core/errors.ts'

describe('a call fails', () => {
  test('at once when the answer is none, which is shown', async () => {
    const { container, recorder, connection } = await answered('debug: here')
    assert.equal(
      recorder.failure,
      'invalid-response: the answer does not start with HTTP/1.1; it begins with "debug: here"',
    )
    assert.deepEqual(recorder.events, ['fail', 'discard'])
    container.say(HELLO)
    await until('the late answer to be dropped', () => container.stdout.readableLength === 0)
    assert.equal(await assertRefuses(container, connection), 'no-response: explained')
  })

  test('when the answer is malformed after its head', async () => {
    const { recorder } = await answered(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n',
    )
    assert.match(recorder.failure ?? '', /^invalid-response: a chunk is longer than its size/)
    assert.deepEqual(recorder.events, ['head', 'data', 'fail', 'discard'])
  })

  test('when the head of the answer is too large', async () => {
    const { recorder } = await answered(`HTTP/1.1 200 OK\r\nX-A: ${'x'.repeat(70_000)}`)
    assert.match(recorder.failure ?? '', /^response-head-too-large: /)
    assert.equal(recorder.verdict, 'discard')
  })

  test('when the answer is longer than allowed, as far as its head tells', async () => {
    const { recorder } = await answered(HELLO, { maxResponseSize: 4 })
    assert.equal(recorder.failure, 'response-too-large: the answer exceeds 4 bytes')
    assert.deepEqual(recorder.events, ['fail', 'discard'])
    assert.equal((await answered(HELLO, { maxResponseSize: 5 })).recorder.verdict, 'keep')
  })

  test('when the answer grows longer than allowed', async () => {
    const { recorder } = await answered(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n3\r\nghi\r\n',
      { maxResponseSize: 5 },
    )
    assert.match(recorder.failure ?? '', /^response-too-large: /)
    assert.deepEqual([recorder.body, recorder.events], ['abc', ['head', 'data', 'fail', 'discard']])
  })

  test('when its time is up, and what comes then reaches nobody', async () => {
    const { container, recorder, connection } = call({ timeoutMs: 1_000 })
    await heardHead(container)
    recorder.clock.advance(999)
    assert.equal(recorder.verdict, undefined)
    recorder.clock.advance(1)
    assert.equal(recorder.error?.code, 'timed-out')
    assert.equal(recorder.verdict, 'discard')
    container.say(HELLO)
    await until('the late answer to be dropped', () => container.stdout.readableLength === 0)
    assert.equal(await assertRefuses(container, connection), 'no-response: explained')
    assert.deepEqual(recorder.events, ['fail', 'discard'])
  })

  test('when its time is up in the middle of the answer', async () => {
    const { container, recorder } = call({ timeoutMs: 1_000 })
    await heardHead(container)
    container.say(HELLO.slice(0, -1))
    await until('the answer to begin', () => recorder.body === 'hell')
    recorder.clock.advance(1_000)
    assert.deepEqual(recorder.events, ['head', 'data', 'fail', 'discard'])
  })

  test('when it is aborted, once', async () => {
    const { container, recorder, exchange } = call()
    await heardHead(container)
    exchange.abort(new SluiceError('client-gone'))
    exchange.abort(new SluiceError('timed-out'))
    container.say(HELLO)
    container.exit()
    recorder.clock.advance(60_000)
    await until('the stream to end', () => container.stdout.readableEnded)
    assert.deepEqual(recorder.events, ['fail', 'discard'])
    assert.equal(recorder.error?.code, 'client-gone')
  })

  test('without harm for the container while its body is held back', async () => {
    const ways: Readonly<Record<string, (rig: ReturnType<typeof call>, body: PassThrough) => void>> = {
      'timed-out': ({ recorder }) => recorder.clock.advance(30_000),
      draining: ({ exchange }) => exchange.abort(new SluiceError('draining')),
      'client-gone': (_rig, body) => void body.destroy(),
    }
    for (const [code, end] of Object.entries(ways)) {
      const body = new PassThrough()
      const rig = call({ body })
      body.write('half')
      await until('the body to be read', () => body.readableLength === 0)
      end(rig, body)
      assert.equal(await rig.recorder.settlement, 'keep', code)
      assert.equal(rig.recorder.error?.code, code)
      assert.equal(rig.container.heard, '')
      await assertServes(rig.container, rig.connection)
    }
  })

  test('when the container ends while its body is held back', async () => {
    const { container, recorder } = call({ body: new PassThrough() })
    container.exit()
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.failure, 'no-response: explained')
  })

  test('when the body has not the length that was promised', async () => {
    for (const text of ['hell', 'hello!']) {
      const { container, recorder } = call({ body: bodyOf(text), headers: ['Content-Length', '5'] })
      assert.equal(await recorder.settlement, 'discard', text)
      assert.match(recorder.failure ?? '', /^invalid: .*5 bytes/)
      assert.ok(!container.heard.includes('!'))
    }
  })

  test('when the caller goes in the middle of the body', async () => {
    const body = new PassThrough()
    const { container, recorder } = call({ body, headers: ['Content-Length', '10'] })
    body.write('hello')
    await until('the half of it', () => container.heard.endsWith('hello'))
    body.destroy(new Error('aborted'))
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.error?.code, 'client-gone')
  })

  test('when the container ends without an answer, for the reason that its end tells', async () => {
    const { container, recorder } = call()
    await heardHead(container)
    container.exit({ status: 'error', exitCode: 1 })
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.failure, 'no-response: explained')
  })

  test('when the container ends in the middle of its answer', async () => {
    const { container, recorder } = call()
    await heardHead(container)
    container.say(HELLO.slice(0, -1))
    container.exit()
    assert.equal(await recorder.settlement, 'discard')
    assert.deepEqual(recorder.events, ['head', 'data', 'fail', 'discard'])
    assert.equal(recorder.failure, 'no-response: explained')
  })

  test('when stdout breaks', async () => {
    const { container, recorder } = call()
    await heardHead(container)
    container.say('HTTP/1.1 200 OK\r\n\r\nall I ha')
    await until('the answer to begin', () => recorder.body !== '')
    container.stdout.destroy(new Error('broken'))
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.failure, 'no-response: explained')
  })

  test('at its time, also while the container’s end is being asked for', async () => {
    const { container, recorder } = call()
    recorder.explains = () => new Promise(() => {})
    await heardHead(container)
    container.exit()
    await until('the stream to end', () => container.stdout.readableEnded)
    recorder.clock.advance(30_000)
    assert.deepEqual([recorder.error?.code, recorder.events], ['timed-out', ['fail', 'discard']])
  })

  test('as lost when nobody can say why', async () => {
    const { container, recorder } = call()
    recorder.explains = () => Promise.reject(new Error('no idea'))
    container.exit()
    await recorder.settlement
    assert.equal(recorder.error?.code, 'no-response')
  })
})
