import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { describe, test } from 'node:test'
import { bodyOf, FakeContainer, makeRequest, Recorder } from '../../../test/support/stdio-rig.ts'
import { until } from '../../../test/support/until.ts'
import { SluiceError } from '../../core/errors.ts'
import type { RunResult } from '../../drivers/driver.ts'
import { connectDefault } from './default.ts'
import type { FunctionRequest } from './exchange.ts'

const KIB = 1024
const HELD = 256 * KIB

function call(over: Partial<FunctionRequest> = {}, container = new FakeContainer().listen()) {
  const connection = connectDefault(container)
  const recorder = new Recorder()
  const exchange = connection.exchange(makeRequest(over), recorder, recorder)
  return { container, connection, recorder, exchange }
}

/** A call that was answered with these bytes, after which the container ended. */
async function answered(
  bytes: string | Buffer,
  result: Partial<RunResult> = {},
  over: Partial<FunctionRequest> = {},
) {
  const rig = call(over)
  if (bytes.length > 0) rig.container.say(bytes)
  rig.container.exit(result)
  assert.equal(await rig.recorder.settlement, 'discard')
  return rig.recorder
}

const error = (exitCode: number): Partial<RunResult> => ({
  status: 'error',
  exitCode,
  error: `exit code ${exitCode}`,
})

describe('the input', () => {
  test('is the body, and ends with it', async () => {
    const { container } = call({ body: bodyOf('hello ', 'you') })
    await until('the end of the input', () => container.stdin.readableEnded)
    assert.equal(container.heard, 'hello you')
  })

  test('of a call without a body is empty', async () => {
    const { container } = call()
    await until('the end of the input', () => container.stdin.readableEnded)
    assert.equal(container.heard, '')
  })

  test('waits for a function that does not read', async () => {
    const body = bodyOf(...Array.from({ length: 100 }, () => Buffer.alloc(KIB)))
    const { container } = call({ body }, new FakeContainer({ stdinHolds: KIB }))
    await until('the body to wait', () => body.isPaused())
    assert.ok(container.stdin.writableLength + container.stdin.readableLength < 8 * KIB)
    container.listen()
    await until('all of it', () => container.heard.length === 100 * KIB)
  })

  test('that nobody reads is no error', async () => {
    const container = new FakeContainer({ stdinHolds: 16 })
    const body = bodyOf('x'.repeat(1000), 'y'.repeat(1000))
    const { recorder } = call({ body }, container)
    await until('the body to wait', () => body.isPaused())
    container.stdin.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    container.say('done')
    container.exit()
    await recorder.settlement
    assert.deepEqual([recorder.body, recorder.error], ['done', undefined])
    await until('the body to be dropped', () => body.readableEnded)
  })

  test('that the caller breaks off fails the call', async () => {
    const body = new PassThrough()
    const { recorder, container } = call({ body })
    body.write('hel')
    await until('the beginning', () => container.heard === 'hel')
    body.destroy()
    assert.equal(await recorder.settlement, 'discard')
    assert.equal(recorder.error?.code, 'client-gone')
    assert.equal(container.stdin.writableEnded, false) // half a body must not look whole
  })
})

describe('the answer', () => {
  test('is what the function writes, once it has ended well', async () => {
    const { container, recorder } = call()
    container.say('hel')
    container.say('lo')
    container.stdout.end()
    await until('the end of the stream', () => container.stdout.readableEnded)
    assert.deepEqual(recorder.events, [])
    container.settle()
    assert.equal(await recorder.settlement, 'discard')
    assert.deepEqual(recorder.events, ['head', 'data', 'end', 'discard'])
    assert.equal(recorder.body, 'hello')
    assert.deepEqual(recorder.raw, ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', '5'])
    assert.equal(recorder.headers?.['content-length'], '5')
  })

  test('is not cut when the container’s end is known before that of its stream', async () => {
    const { container, recorder } = call()
    container.say('hello')
    container.settle()
    await container.ended
    await until('the first words to be read', () => container.stdout.readableLength === 0)
    assert.equal(recorder.verdict, undefined)
    container.say(' there')
    container.stdout.end()
    await recorder.settlement
    assert.equal(recorder.body, 'hello there')
  })

  test('may be empty', async () => {
    const recorder = await answered('')
    assert.deepEqual(recorder.events, ['head', 'end', 'discard'])
    assert.deepEqual(recorder.raw, ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', '0'])
  })

  test('has the type that it looks like', async () => {
    const text = 'text/plain; charset=utf-8'
    const types: readonly (readonly [string | Buffer, string])[] = [
      ['Zoë\t\r\n\f\v', text],
      ['{"a":1}', 'application/json'],
      [' \n[1, 2]\n', 'application/json'],
      ['{"a":1} and more', text],
      ['{"a":1}{"b":2}', text],
      ['"text"', text],
      ['42', text],
      ['null', text],
      ['a\0b', 'application/octet-stream'],
      ['\x1b[0m', 'application/octet-stream'],
      ['\x7f', 'application/octet-stream'],
      ['{"a":"\x01"}', 'application/octet-stream'],
      [Buffer.from('Zo\xeb', 'latin1'), 'application/octet-stream'],
    ]
    for (const [bytes, type] of types) {
      const { headers } = await answered(bytes)
      assert.equal(headers?.['content-type'], type, JSON.stringify(bytes.toString()))
    }
  })

  test('of 256 KiB is still held back, and one byte more is not', async () => {
    const { container, recorder } = call()
    container.say('x'.repeat(HELD))
    await until('it to be read', () => container.stdout.readableLength === 0)
    assert.deepEqual(recorder.events, [])
    container.say('y')
    await until('it to be handed on', () => recorder.body.length === HELD + 1)
    assert.deepEqual(recorder.raw, ['Content-Type', 'text/plain; charset=utf-8'])
    container.say('{more}')
    await until('the next piece', () => recorder.body.endsWith('{more}'))
    container.exit()
    await recorder.settlement
    assert.deepEqual(recorder.events, ['head', 'data', 'end', 'discard'])
  })

  test('that streams has the type of its beginning, which is never JSON', async () => {
    const json = `[${'1,'.repeat(HELD)}1]`
    assert.equal((await answered(json)).headers?.['content-type'], 'text/plain; charset=utf-8')
    const cut = Buffer.concat([Buffer.alloc(HELD, 'x'), Buffer.from('ë').subarray(0, 1)])
    assert.equal((await answered(cut)).headers?.['content-type'], 'text/plain; charset=utf-8')
    const bytes = Buffer.concat([Buffer.alloc(HELD, 0xff), Buffer.from('text')])
    assert.equal((await answered(bytes)).headers?.['content-type'], 'application/octet-stream')
    assert.equal(
      (await answered(Buffer.alloc(HELD + 1))).headers?.['content-type'],
      'application/octet-stream',
    )
  })

  test('waits for a receiver that can take no more', async () => {
    const { container, recorder, exchange } = call()
    recorder.takesMore = false
    container.say('x'.repeat(HELD + 1))
    await until('the first piece', () => recorder.body !== '')
    container.say('more')
    assert.equal(container.stdout.isPaused(), true)
    assert.equal(recorder.body.length, HELD + 1)
    recorder.takesMore = true
    exchange.resume()
    await until('the rest', () => recorder.body.endsWith('more'))
    container.exit()
    await recorder.settlement
    assert.equal(recorder.error, undefined)
  })
})

describe('a call fails', () => {
  test('cleanly when the function exits with another code than 0', async () => {
    const recorder = await answered('half an answer', error(3))
    assert.equal(recorder.failure, 'function-failed: exit code 3')
    assert.deepEqual(recorder.events, ['fail', 'discard'])
  })

  test('by breaking off when its answer streams already', async () => {
    const { container, recorder } = call()
    container.say('x'.repeat(HELD + 1))
    await until('the first piece', () => recorder.body !== '')
    container.exit(error(1))
    await recorder.settlement
    assert.equal(recorder.failure, 'function-failed: exit code 1')
    assert.deepEqual(recorder.events, ['head', 'data', 'fail', 'discard'])
  })

  test('by the function’s exit code, also while the receiver can take no more', async () => {
    const { container, recorder } = call()
    recorder.takesMore = false
    container.say('x'.repeat(HELD + 1))
    await until('the first piece', () => recorder.body !== '')
    container.say('more')
    container.exit(error(1))
    await recorder.settlement
    assert.equal(recorder.failure, 'function-failed: exit code 1')
    await until('the rest to be dropped', () => container.stdout.readableEnded)
  })

  test('when the container ran out of memory, whatever its exit code is', async () => {
    for (const result of [{ status: 'killed' }, { ...error(137) }, { status: 'success' }] as const) {
      const recorder = await answered('half', { ...result, oom: true })
      assert.match(recorder.failure ?? '', /^function-failed: container out of memory, .* fn\.memory/)
    }
  })

  test('when the driver found that its time was up', async () => {
    assert.equal((await answered('half', { status: 'timeout' })).error?.code, 'timed-out')
  })

  test('for the reason that can be told when the container was taken away', async () => {
    for (const status of ['killed', 'cancelled', 'error'] as const) {
      const { container, recorder } = call()
      container.stdout.end()
      container.settle({ status, exitCode: undefined as never })
      await recorder.settlement
      assert.equal(recorder.failure, 'no-response: explained', status)
    }
  })

  test('when its time is up, and what comes then reaches nobody', async () => {
    const { container, recorder } = call({ timeoutMs: 1_000 })
    container.say('half')
    await until('it to be read', () => container.stdout.readableLength === 0)
    recorder.clock.advance(999)
    assert.equal(recorder.verdict, undefined)
    recorder.clock.advance(1)
    assert.equal(recorder.error?.code, 'timed-out')
    container.say('late')
    container.exit()
    await until('the rest to be dropped', () => container.stdout.readableEnded)
    assert.deepEqual(recorder.events, ['fail', 'discard'])
  })

  test('when it is aborted, once', async () => {
    const { container, recorder, exchange } = call()
    exchange.abort(new SluiceError('client-gone'))
    exchange.abort(new SluiceError('timed-out'))
    container.exit()
    await until('the rest to be dropped', () => container.stdout.readableEnded)
    recorder.clock.advance(60_000)
    assert.deepEqual([recorder.error?.code, recorder.events], ['client-gone', ['fail', 'discard']])
  })

  test('and nothing more of its body reaches the function', async () => {
    const body = new PassThrough()
    const { container, exchange } = call({ body })
    body.write('half')
    await until('the half of it', () => container.heard === 'half')
    exchange.abort(new SluiceError('timed-out'))
    body.end(' and half')
    await until('the rest to be dropped', () => body.readableEnded)
    assert.deepEqual([container.heard, container.stdin.writableEnded], ['half', false])
  })

  test('when the answer is longer than allowed, held back or not', async () => {
    const limit = (maxResponseSize: number) => ({ maxResponseSize })
    const held = await answered('hello', {}, limit(4))
    assert.equal(held.failure, 'response-too-large: the answer exceeds 4 bytes')
    assert.deepEqual(held.events, ['fail', 'discard'])
    assert.equal((await answered('hello', {}, limit(5))).error, undefined)
    const { container, recorder } = call(limit(HELD + 5))
    container.say('x'.repeat(HELD + 1))
    await until('the first piece', () => recorder.body !== '')
    container.say('more and more')
    await recorder.settlement
    assert.equal(recorder.error?.code, 'response-too-large')
    assert.deepEqual(recorder.events, ['head', 'data', 'fail', 'discard'])
  })

  test('when stdout breaks', async () => {
    const { container, recorder } = call()
    container.say('half')
    container.stdout.destroy(new Error('broken'))
    container.settle()
    await recorder.settlement
    assert.equal(recorder.failure, 'no-response: explained')
  })
})

test('closing fails the call that is open, and ends its input', async () => {
  const { connection, container, recorder } = call({ body: new PassThrough() })
  await connection.close()
  container.say('late')
  assert.equal(await recorder.settlement, 'discard')
  assert.equal(recorder.failure, 'no-response: explained')
  assert.equal(container.stdin.writableEnded, true)
})

test('closing a container that was never called reads what it says', async () => {
  const container = new FakeContainer()
  const connection = connectDefault(container)
  await connection.close()
  container.say('x'.repeat(1024 * KIB))
  await until('it to be dropped', () => container.stdout.readableLength === 0)
})

test('a second call is a mistake of the caller', async () => {
  const { connection, recorder, container } = call()
  container.exit()
  await recorder.settlement
  assert.throws(() => connection.exchange(makeRequest(), recorder, recorder), /second call/)
})

test('a real process answers one call', async () => {
  for (const [script, body, failure] of [
    ['tr a-z A-Z', 'HELLO', undefined],
    ['echo hello; exit 7', '', 'function-failed: exit code 7'],
    ['exec <&-; echo unread', 'unread\n', undefined],
  ] as const) {
    const child = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = new Promise<RunResult>((resolve) => {
      child.once('close', (exitCode) =>
        resolve({
          status: exitCode === 0 ? 'success' : 'error',
          exitCode: exitCode as number,
          oom: false,
          startedAt: 0,
        }),
      )
    })
    const connection = connectDefault({
      stdin: child.stdin as Writable,
      stdout: child.stdout as Readable,
      ended,
    })
    const recorder = new Recorder()
    connection.exchange(makeRequest({ body: bodyOf('hello') }), recorder, recorder)
    assert.equal(await recorder.settlement, 'discard')
    assert.deepEqual([recorder.body, recorder.failure], [body, failure])
  }
})
