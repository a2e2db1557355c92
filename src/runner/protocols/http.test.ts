import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { PassThrough, Readable, type Writable } from 'node:stream'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { bodyOf, FakeContainer, makeRequest, Recorder } from '../../../test/support/stdio-rig.ts'
import { until } from '../../../test/support/until.ts'
import { SluiceError } from '../../core/errors.ts'
import { httpStatusOf, invokeAnswer, triggerAnswer } from '../../node/function-headers.ts'
import type { FunctionRequest } from './exchange.ts'
import { connectHttp } from './http.ts'

const MIB = 1024 * 1024
const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'

/** One call over a container of its own, which has heard the head of the request. */
function call(over: Partial<FunctionRequest> = {}, container = new FakeContainer().listen()) {
  const connection = connectHttp(container)
  const recorder = new Recorder()
  const exchange = connection.exchange(makeRequest(over), recorder, recorder)
  return { container, connection, recorder, exchange }
}

/** A call that was answered with this text. */
async function answered(text: string, over: Partial<FunctionRequest> = {}) {
  const rig = call(over)
  await heardHead(rig.container)
  rig.container.say(text)
  await rig.recorder.settlement
  return rig
}

const heardHead = (container: FakeContainer) =>
  until('the request', () => container.heard.includes('\r\n\r\n'))

const header = (container: FakeContainer, name: string) =>
  new RegExp(`^${name}: (.*)\r$`, 'm').exec(container.heard)?.[1]

describe('a request', () => {
  test('is written as functions of 2017 read it', async () => {
    const { container } = call({
      environment: () => ({ METHOD: 'POST', APP_NAME: 'shop', HEADER_X_FOO: 'bar', EMPTY: '' }),
      headers: ['Content-Type', 'text/plain', 'Fn-Call-Id', 'CALL', 'Fn-Deadline', '2026-01-01T00:00:30Z'],
    })
    await heardHead(container)
    assert.deepEqual(container.heard.split('\r\n'), [
      'GET / HTTP/1.1',
      'Method: POST',
      'App_name: shop',
      'Header_x_foo: bar',
      'Empty: ',
      'Content-Length: 0',
      'Task-Id: CALL',
      'Content-Type: text/plain',
      'Fn-Call-Id: CALL',
      'Fn-Deadline: 2026-01-01T00:00:30Z',
      '',
      '',
    ])
  })

  test('streams a body whose length the caller tells', async () => {
    const body = new PassThrough()
    const { container } = call({ body, headers: ['Content-Length', '10'] })
    body.write('hello')
    await until('the first half', () => container.heard.endsWith('\r\n\r\nhello'))
    assert.equal(header(container, 'Content-Length'), '10')
    body.end('world')
    await until('the rest', () => container.heard.endsWith('\r\n\r\nhelloworld'))
  })

  test('is held until a body without a usable length is whole', async () => {
    for (const headers of [[], ['Content-Length', '5', 'Content-Length', '9'], ['Content-Length', '-1']]) {
      const body = new PassThrough()
      const { container } = call({ body, headers })
      body.write('hello ')
      await until('the body to be read', () => body.readableLength === 0)
      assert.equal(container.heard, '')
      body.end('you')
      await until('the request', () => container.heard.endsWith('\r\n\r\nhello you'))
      assert.equal(header(container, 'Content-Length'), '9')
    }
  })

  test('with a body that is too large to be held is refused, and the container does not suffer', async () => {
    const { container, recorder, connection } = call({
      body: bodyOf(...Array.from({ length: 65 }, () => Buffer.alloc(MIB))),
    })
    await recorder.settlement
    assert.match(recorder.failure ?? '', /^too-large: .*67108864 bytes/)
    assert.equal(recorder.verdict, 'keep')
    assert.equal(container.heard, '')
    await assertServes(container, connection)
  })

  test('cannot be split by what a variable holds', async () => {
    const { container } = call({
      environment: () => ({ A: 'x\r\nInjected: 1\r\n\r\nGET', B: '\ny\0', 'Bad\r\nName': 'x', 'C: d': 'x' }),
      headers: ['Content-Type', 'a\r\nInjected: 2', 'Fn-Call-Id', 'CALL'],
    })
    await heardHead(container)
    assert.equal(container.heard.split('\r\n\r\n').length, 2)
    assert.equal(header(container, 'A'), 'x  Injected: 1    GET')
    assert.equal(header(container, 'B'), 'y')
    assert.equal(header(container, 'Content-Type'), 'a  Injected: 2')
    assert.doesNotMatch(container.heard, /^(Injected|Name|C):/m)
  })

  test('never says twice how it is framed', async () => {
    const { container } = call({
      environment: () => ({
        'content-length': '7',
        'Transfer-Encoding': 'chunked',
        HOST: 'x',
        'Task-Id': 'x',
        TRAILER: 'x',
      }),
    })
    await heardHead(container)
    assert.equal(container.heard.match(/^content-length/gim)?.length, 1)
    assert.equal(header(container, 'Task-Id'), 'CALL')
    assert.doesNotMatch(container.heard, /transfer-encoding|host|trailer/i)
  })

  test('carries texts in UTF-8', async () => {
    const { container } = call({ environment: () => ({ NAME: 'Zoë' }) })
    await heardHead(container)
    assert.equal(Buffer.from(header(container, 'Name') as string, 'latin1').toString(), 'Zoë')
  })

  test('has one line a header, whatever the variables are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), fc.string({ unit: 'binary' })), async (variables) => {
        const { container, exchange, recorder } = call({ environment: () => variables })
        await heardHead(container)
        const lines = container.heard.slice(0, -4).split('\r\n')
        assert.ok(lines.slice(1).every((line) => /^[\w-]+: [^\r\n\0]*$/.test(line)))
        exchange.abort(new SluiceError('client-gone'))
        await recorder.settlement
      }),
      { numRuns: 30 },
    )
  })

  test('waits for a function that does not read', async () => {
    let given = 0
    const body = new Readable({
      highWaterMark: 1024,
      read() {
        given += 1024
        this.push(given <= MIB ? Buffer.alloc(1024) : null)
      },
    })
    const { container } = call(
      { body, headers: ['Content-Length', String(MIB)] },
      new FakeContainer({ stdinHolds: 1024 }),
    )
    await until('the body to stand still', () => given > 0 && body.isPaused())
    assert.ok(given < 64 * 1024, `${given} bytes were read`)
    container.listen()
    await until('all of it', () => container.heard.length > MIB)
  })
})

/** The container takes another call, and answers it. */
async function assertServes(container: FakeContainer, connection: ReturnType<typeof connectHttp>) {
  container.heard = ''
  const recorder = new Recorder()
  connection.exchange(makeRequest(), recorder, recorder)
  await heardHead(container)
  container.say(HELLO)
  assert.equal(await recorder.settlement, 'keep')
  assert.equal(recorder.body, 'hello')
}

/** The next call on this connection fails without a byte of it being written. */
async function assertRefuses(container: FakeContainer, connection: ReturnType<typeof connectHttp>) {
  container.heard = ''
  const recorder = new Recorder()
  connection.exchange(makeRequest(), recorder, recorder)
  assert.equal(await recorder.settlement, 'discard')
  assert.equal(container.heard, '')
  return recorder.failure
}

describe('an answer', () => {
  test('reaches the receiver, and the container serves the next call', async () => {
    const { container, recorder, connection } = await answered(HELLO)
    assert.deepEqual(recorder.events, ['head', 'data', 'end', 'keep'])
    assert.deepEqual(recorder.raw, ['Content-Length', '5'])
    assert.equal(recorder.body, 'hello')
    await assertServes(container, connection)
  })

  test('of many calls belongs to each, in order', async () => {
    const container = new FakeContainer()
    let count = 0
    const answer = () => container.say(HELLO.replace('hello', String(count++).padEnd(5)))
    container.stdin.on('data', () => setImmediate(answer))
    const connection = connectHttp(container)
    for (let i = 0; i < 20; i++) {
      const recorder = new Recorder()
      connection.exchange(makeRequest(), recorder, recorder)
      assert.equal(await recorder.settlement, 'keep')
      assert.equal(recorder.body.trim(), String(i))
    }
    assert.equal(container.stdout.listenerCount('data'), 1)
  })

  test('tells the function’s own status and headers as one of today would', async () => {
    const { recorder } = await answered(
      'HTTP/1.1 404 Nope\r\nContent-Type: text/html\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n' +
        'Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nFXLB-WAIT: 0s\r\nContent-Length: 4\r\n\r\nnope',
    )
    assert.deepEqual(recorder.raw, [
      ...['Fn-Http-Status', '404', 'Content-Type', 'text/html'],
      ...['Fn-Http-H-Set-Cookie', 'a=1', 'Fn-Http-H-Set-Cookie', 'b=2'],
      ...['Fn-Http-H-FXLB-WAIT', '0s', 'Content-Length', '4'],
    ])
    assert.equal(recorder.headers?.['fn-http-status'], '404')
    assert.equal(recorder.verdict, 'keep')
    const raw = recorder.raw.map((text) => Buffer.from(text))
    assert.equal(httpStatusOf({ ...recorder.headers }), 404)
    assert.deepEqual(triggerAnswer(raw), [
      ...['Content-Type', 'text/html', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
      ...['Content-Length', '4'],
    ])
    assert.deepEqual(invokeAnswer({ ...recorder.headers }, raw), recorder.raw)
  })

  test('in chunks has no length for the receiver', async () => {
    const { recorder } = await answered(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n',
    )
    assert.deepEqual([recorder.raw, recorder.body, recorder.verdict], [[], 'abcde', 'keep'])
  })

  test('without content is an answer', async () => {
    const { recorder } = await answered('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n')
    assert.deepEqual(
      [recorder.raw, recorder.events],
      [
        ['Fn-Http-Status', '204'],
        ['head', 'end', 'keep'],
      ],
    )
  })

  test('may take as long as its last byte takes', async () => {
    const { container, recorder } = call()
    await heardHead(container)
    for (const byte of HELLO) {
      assert.equal(recorder.verdict, undefined)
      container.say(byte)
      await until('the byte to be read', () => container.stdout.readableLength === 0)
    }
    assert.equal(await recorder.settlement, 'keep')
  })

  test('waits for a receiver that can take no more', async () => {
    const { container, recorder, exchange } = call()
    await heardHead(container)
    recorder.takesMore = false
    container.say('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello')
    await until('the first half', () => recorder.body === 'hello')
    container.say('world')
    assert.equal(container.stdout.isPaused(), true)
    assert.equal(recorder.body, 'hello')
    exchange.resume()
    assert.equal(await recorder.settlement, 'keep')
    assert.equal(recorder.body, 'helloworld')
    assert.equal(container.stdout.isPaused(), false)
  })

  test('that a slow receiver got last does not keep the container from being watched', async () => {
    const { container, recorder, exchange, connection } = call()
    await heardHead(container)
    recorder.takesMore = false
    container.say(HELLO)
    await recorder.settlement
    assert.equal(container.stdout.isPaused(), false)
    exchange.resume()
    await assertServes(container, connection)
  })

  test('to the end of the stream is whole when the container ended well', async () => {
    const { container, recorder } = call()
    await heardHead(container)
    container.say('HTTP/1.0 200 OK\n\nall I have')
    container.exit()
    assert.equal(await recorder.settlement, 'discard')
    assert.deepEqual([recorder.body, recorder.events], ['all I have', ['head', 'data', 'end', 'discard']])
  })

  test('to the end of the stream is broken when the container ended badly', async () => {
    const { container, recorder } = call()
    await heardHead(container)
    container.say('HTTP/1.1 200 OK\r\n\r\nall I ha')
    container.exit({ status: 'error', exitCode: 139 })
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.failure, 'no-response: explained')
    assert.deepEqual(recorder.events, ['head', 'data', 'fail', 'discard'])
  })

  test('to the end of the stream waits a second for the container’s end', async () => {
    const { container, recorder } = call()
    await heardHead(container)
    container.say('HTTP/1.1 200 OK\r\n\r\nall I have')
    container.stdout.end()
    await until('the end of the stream', () => container.stdout.readableEnded)
    recorder.clock.advance(999)
    assert.equal(recorder.verdict, undefined)
    recorder.clock.advance(1)
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.error, undefined)
  })
})

describe('a container is discarded after an answer', () => {
  test('with bytes behind its end', async () => {
    const { container, recorder, connection } = await answered(`${HELLO}\n`)
    assert.deepEqual(recorder.events, ['head', 'data', 'end', 'discard'])
    assert.equal(await assertRefuses(container, connection), 'no-response: explained')
  })

  test('with bytes behind its end that wait to be read', async () => {
    const { container, recorder, exchange } = call()
    await heardHead(container)
    recorder.takesMore = false
    container.say(HELLO.slice(0, -1))
    await until('the answer to begin', () => recorder.body === 'hell')
    container.say('o')
    container.say('late')
    exchange.resume()
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.body, 'hello')
  })

  test('that came before the whole body was sent', async () => {
    const body = new PassThrough()
    const { container, recorder } = call({ body, headers: ['Content-Length', '10'] })
    await heardHead(container)
    container.say(HELLO)
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.body, 'hello')
    body.end('x'.repeat(MIB))
    await until('the rest of the body to be dropped', () => body.readableEnded)
    assert.ok(container.heard.endsWith('\r\n\r\n'))
  })

  test('that came before the function had taken the whole body', async () => {
    const container = new FakeContainer({ stdinHolds: 16 })
    const { recorder } = call(
      { body: bodyOf('x'.repeat(100)), headers: ['Content-Length', '100'] },
      container,
    )
    await until('the body to be written', () => container.stdin.writableLength > 0)
    container.say(HELLO)
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.error, undefined)
  })

  test('that says so', async () => {
    const { recorder } = await answered(HELLO.replace('\r\n', '\r\nConnection: Close\r\n'))
    assert.deepEqual([recorder.error, recorder.verdict], [undefined, 'discard'])
  })
})

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

describe('a function that does not read its input', () => {
  test('may still answer', async () => {
    const container = new FakeContainer()
    container.stdin.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    await until('it to be closed', () => container.stdin.closed)
    const body = bodyOf(Buffer.alloc(MIB), Buffer.alloc(MIB), Buffer.alloc(MIB))
    const { recorder } = call({ body, headers: ['Content-Length', String(3 * MIB)] }, container)
    await until('the body to be dropped', () => body.readableEnded)
    container.say(HELLO)
    assert.equal(await recorder.settlement, 'discard')
    assert.deepEqual([recorder.body, recorder.error], ['hello', undefined])
  })

  test('may close it while the body waits', async () => {
    const container = new FakeContainer({ stdinHolds: 16 })
    const body = bodyOf('x'.repeat(1000), 'y'.repeat(1000))
    const { recorder } = call({ body, headers: ['Content-Length', '2000'] }, container)
    await until('the body to wait', () => body.isPaused())
    container.stdin.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    await until('the body to be dropped', () => body.readableEnded)
    container.exit({ status: 'error', exitCode: 1 })
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.failure, 'no-response: explained')
  })
})

describe('between calls', () => {
  test('what the container says makes it unfit, and the next call says so', async () => {
    const { container, connection } = await answered(HELLO)
    container.say('tick\n')
    await until('it to be heard', () => container.stdout.readableLength === 0)
    const failure = await assertRefuses(container, connection)
    assert.equal(failure, 'invalid-response: the function wrote "tick\\n" outside of a call')
  })

  test('what it said before its first call counts as well', async () => {
    const container = new FakeContainer().listen()
    container.say('ready\n')
    const { recorder, connection } = call({}, container)
    assert.equal(await recorder.settlement, 'discard')
    assert.match(recorder.failure ?? '', /^invalid-response: the function wrote .* outside of a call/)
    assert.equal(container.heard, '')
    await assertRefuses(container, connection)
  })

  test('what it says before a call was sent fails that call', async () => {
    const body = new PassThrough()
    const { container, recorder } = call({ body })
    container.say(HELLO)
    assert.equal(await recorder.settlement, 'discard')
    assert.match(recorder.failure ?? '', /^invalid-response: the function wrote "HTTP/)
  })

  test('whoever holds the container is told once that it is broken', async () => {
    const container = new FakeContainer().listen()
    const told: (string | undefined)[] = []
    connectHttp({ ...streamsOf(container), broken: (why) => told.push(why.detail) })
    container.say('tick')
    container.say('tock')
    container.exit()
    await until('the end of the stream', () => container.stdout.readableEnded)
    assert.deepEqual(told, ['the function wrote "tick" outside of a call'])
  })

  test('the end of a container is no answer to the next call', async () => {
    const { container, connection } = await answered(HELLO)
    container.exit()
    await until('the end of the stream', () => container.stdout.readableEnded)
    assert.equal(await assertRefuses(container, connection), 'no-response: explained')
  })

  test('a caller that resumes late does not resume the call of another', async () => {
    const { container, connection, exchange } = await answered(HELLO)
    const second = new Recorder()
    second.takesMore = false
    connection.exchange(makeRequest(), second, second)
    container.say('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello')
    await until('its first half', () => second.body === 'hello')
    exchange.resume()
    assert.equal(container.stdout.isPaused(), true)
  })
})

const streamsOf = ({ stdin, stdout, ended }: FakeContainer) => ({ stdin, stdout, ended })

test('a call leaves no timer behind, however it ends', async () => {
  const { recorder } = await answered(HELLO)
  const failed = await answered('no answer')
  const lost = call()
  await heardHead(lost.container)
  lost.container.say('HTTP/1.1 200 OK\r\n\r\n')
  lost.container.exit()
  await lost.recorder.settlement
  assert.deepEqual([recorder.timers, failed.recorder.timers, lost.recorder.timers], [0, 0, 0])
})

test('closing ends stdin, and goes on reading what nobody wants', async () => {
  const { container, connection } = await answered(HELLO)
  await connection.close()
  assert.equal(container.stdin.writableEnded, true)
  container.say('x'.repeat(MIB))
  await until('it to be dropped', () => container.stdout.readableLength === 0)
  assert.equal(await assertRefuses(container, connection), 'no-response: explained')
})

test('closing fails the call that is open', async () => {
  const { container, connection, recorder } = call()
  await heardHead(container)
  const reason = Promise.withResolvers<SluiceError>()
  recorder.explains = () => reason.promise
  await connection.close()
  container.say(HELLO)
  await until('it to be dropped', () => container.stdout.readableLength === 0)
  reason.resolve(new SluiceError('no-response', undefined, { detail: 'explained' }))
  assert.equal(await recorder.settlement, 'discard')
  assert.equal(recorder.failure, 'no-response: explained')
})

test('a second call at the same time is a mistake of the caller', async () => {
  const { connection, exchange, recorder } = call()
  assert.throws(() => connection.exchange(makeRequest(), recorder, recorder), /two calls at once/)
  exchange.abort(new SluiceError('client-gone'))
})

test('real pipes carry a mebibyte there and back, call after call', async () => {
  const program = `
    let rest = Buffer.alloc(0)
    process.stdin.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk])
      const end = rest.indexOf('\\r\\n\\r\\n') + 4
      const length = Number(/content-length: (\\d+)/i.exec(rest)?.[1])
      if (end < 4 || rest.length < end + length) return
      const body = rest.subarray(end, end + length)
      rest = rest.subarray(end + length)
      process.stdout.write('HTTP/1.1 200 OK\\r\\nContent-Length: ' + length + '\\r\\n\\r\\n')
      process.stdout.write(body)
    })`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const connection = connectHttp({
    stdin: child.stdin as Writable,
    stdout: child.stdout as Readable,
    ended: new Promise(() => {}),
  })
  const text = 'x'.repeat(MIB)
  for (const headers of [['Content-Length', String(MIB)], [], ['Content-Length', String(MIB)]]) {
    const recorder = new Recorder()
    connection.exchange(makeRequest({ body: bodyOf(text), headers }), recorder, recorder)
    assert.equal(await recorder.settlement, 'keep')
    assert.ok(recorder.body === text)
  }
  await connection.close()
  await until('the function to end', () => child.exitCode === 0)
})
