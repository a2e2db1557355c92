import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { assertServes, call, HELLO, header, heardHead, MIB } from '../../../test/support/http-rig.ts'
import { bodyOf, FakeContainer } from '../../../test/support/stdio-rig.ts'
import { until } from '../../../test/support/until.ts'
import { SluiceError } from '../../core/errors.ts'

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
