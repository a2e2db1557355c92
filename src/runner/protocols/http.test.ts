import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { describe, test } from 'node:test'
import {
  answered,
  assertRefuses,
  assertServes,
  call,
  HELLO,
  heardHead,
  MIB,
} from '../../../test/support/http-rig.ts'
import { bodyOf, FakeContainer, makeRequest, Recorder } from '../../../test/support/stdio-rig.ts'
import { until } from '../../../test/support/until.ts'
import { SluiceError } from '../../core/errors.ts'
import { httpStatusOf, invokeAnswer, triggerAnswer } from '../../node/function-headers.ts'
import { connectHttp } from './http.ts'

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
