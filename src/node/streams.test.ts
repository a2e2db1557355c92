import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { createServer as createNetServer } from 'node:net'
import { test } from 'node:test'
import { http, INVOKE, send, setUpNode as setUp } from '../../test/support/node-rig.ts'
import { until } from '../../test/support/until.ts'

test('a function that dies in mid-answer leaves a broken answer, never a short success', async (t) => {
  const dying = createNetServer((connection) =>
    connection.once('data', () => {
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
      setImmediate(() => connection.destroy())
    }),
  )
  const { node } = await setUp(t, dying)
  await assert.rejects(send(node.url + INVOKE), { code: 'ECONNRESET' })
})

test('a caller who leaves ends the call and its container', async (t) => {
  const { promise: called, resolve } = Promise.withResolvers<void>()
  const { node, driver } = await setUp(
    t,
    http(() => resolve()),
  )
  const leaving = request(node.url + INVOKE, { method: 'POST', agent: false })
  leaving.on('error', () => {})
  leaving.end('x')
  await called
  leaving.destroy()
  await until('the container to be stopped', () => driver.stopped.length === 1)
})

test('an answer streams: its beginning arrives before its end exists', async (t) => {
  const { promise: seenFirst, resolve: sawFirst } = Promise.withResolvers<void>()
  const serve = createServer((_req, res) => {
    res.write('first')
    seenFirst.then(() => res.end('last'))
  })
  const { node } = await setUp(t, serve)
  const body = await new Promise<string>((resolve, reject) => {
    request(node.url + INVOKE, { method: 'POST', agent: false }, (res) => {
      let text = ''
      res.on('data', (chunk) => {
        text += chunk
        if (text === 'first') sawFirst()
      })
      res.on('end', () => resolve(text))
    })
      .on('error', reject)
      .end()
  })
  assert.equal(body, 'firstlast')
})

test('a request streams: the function reads its beginning before its end is sent', async (t) => {
  const { promise: read, resolve } = Promise.withResolvers<void>()
  const serve = createServer((req, res) => {
    let text = ''
    req.on('data', (chunk) => {
      text += chunk
      if (text === 'first') resolve()
    })
    req.on('end', () => res.end(text))
  })
  const { node } = await setUp(t, serve, { fn: { annotations: { 'sluice/body': 'stream' } } })
  const body = await new Promise<string>((resolveBody, reject) => {
    const sending = request(node.url + INVOKE, { method: 'POST', agent: false }, (res) => {
      let text = ''
      res.on('data', (chunk) => {
        text += chunk
      })
      res.on('end', () => resolveBody(text))
    })
    sending.on('error', reject)
    sending.write('first')
    read.then(() => sending.end('last'))
  })
  assert.equal(body, 'firstlast')
})

test('100-continue is sent when the call has its slot, not before', async (t) => {
  const { node } = await setUp(
    t,
    http((_req, res, body) => res.end(body)),
  )
  const refused = await new Promise<boolean>((resolve, reject) => {
    let asked = false
    request(
      node.url + INVOKE,
      {
        method: 'POST',
        agent: false,
        headers: { Expect: '100-continue', 'Fn-Warm-Only': '1', 'Content-Length': '5' },
      },
      (res) => resolve(res.statusCode === 503 && !asked),
    )
      .on('continue', () => {
        asked = true
      })
      .on('error', reject)
      .flushHeaders()
  })
  assert.ok(refused)
  const taken = await new Promise<string>((resolve, reject) => {
    const sending = request(
      node.url + INVOKE,
      { method: 'POST', agent: false, headers: { Expect: '100-continue', 'Content-Length': '5' } },
      (res) => res.on('data', (chunk) => resolve(String(chunk))),
    )
    sending
      .on('continue', () => sending.end('asked'))
      .on('error', reject)
      .flushHeaders()
  })
  assert.equal(taken, 'asked')
})
