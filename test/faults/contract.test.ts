import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { clean, disturb, type FaultRig, outcomeOf, scripted, setUpFaults } from '../support/fault-rig.ts'
import { INVOKE, type Seen, send } from '../support/node-rig.ts'
import { answer, SCRIPTED, type Script, say } from '../support/raw-function.ts'

const MIB = 1024 * 1024
const OK = 'HTTP/1.1 200 OK\r\n'
const TOO_LARGE = '502 function response body too large'

/** What a function answers; the status and message that its caller gets; the container of the next call. */
const statuses: readonly [string, number, string, 'same' | 'new'][] = [
  ['502 Bad Gateway', 502, 'function failed', 'same'],
  ['504 Gateway Timeout', 504, 'Timed out', 'same'],
  ...['201 Created', '204 No Content', '206 Part', '301 Moved', '304 Not Modified', '400 Bad'].map(broken),
  ...['404 Not Found', '418 Teapot', '444 Gone', '500 Error', '503 Busy', '599 Odd', '999 Odd'].map(broken),
]

function broken(status: string): (typeof statuses)[number] {
  return [status, 502, 'invalid function response', 'new']
}

for (const [status, seen, message, next] of statuses) {
  test(`a function that answers ${status} is ${seen} ${message}, and the next call gets the ${next} container`, async (t) => {
    const rig = await setUpFaults(t)
    const headers = 'Content-Type: text/plain\r\nX-Own: yes\r\nFn-Http-Status: 200\r\n'
    rig.fn.script = say(answer('for nobody', status, headers))
    const failed = await send(rig.node.url + INVOKE, { headers: SCRIPTED, body: 'x' })
    assert.equal(failed.status, seen)
    assert.equal((JSON.parse(failed.body) as { message: string }).message, message)
    assert.equal(failed.headers['content-type'], 'application/json; charset=utf-8')
    assert.equal(failed.headers['fn-origin'], 'function')
    for (const name of ['x-own', 'fn-http-status']) assert.equal(failed.headers[name], undefined)
    assert.equal(await clean(rig, 'next'), '200 own:next')
    assert.equal(rig.driver.started, next === 'same' ? 1 : 2)
    assert.equal(rig.driver.stopped.length, next === 'same' ? 0 : 1)
    await rig.end()
  })
}

test('a success is passed on whatever its reason, and is no error of anybody', async (t) => {
  const rig = await setUpFaults(t)
  rig.fn.script = say(answer('hello', '200 Whatever', 'X-Own: yes\r\n'))
  const seen = await send(rig.node.url + INVOKE, { headers: SCRIPTED, body: 'x' })
  assert.deepEqual([seen.status, seen.body, seen.headers['x-own']], [200, 'hello', 'yes'])
  assert.equal(seen.headers['fn-origin'], undefined)
  assert.equal(await clean(rig, 'next'), '200 own:next')
  assert.equal(rig.driver.started, 1)
  await rig.end()
})

for (const status of ['102 Processing', '103 Early Hints', '199 Odd']) {
  test(`an interim ${status} is not passed on, and the answer after it is`, async (t) => {
    const interim = `HTTP/1.1 ${status}\r\nX-Interim: yes\r\n\r\n`
    const seen = await disturb(t, say(interim + interim + answer('hello')))
    assert.deepEqual(seen, {
      first: '200 hello',
      queued: '200 own:queued',
      later: '200 own:later',
      killed: 0,
    })
  })
}

test('100 Continue, which nobody asked for, is a lost answer and never a wrong one', async (t) => {
  const seen = await disturb(t, say(`HTTP/1.1 100 Continue\r\n\r\n${answer('hello')}`))
  assert.deepEqual([seen.first, seen.killed], ['502 error receiving function response', 1])
  assert.deepEqual([seen.queued, seen.later], ['200 own:queued', '200 own:later'])
})

test('a trigger gives the same errors, and Fn-Http-Status does not change them', async (t) => {
  const rig = await setUpFaults(t)
  for (const [status, message] of [
    ['502 x', '502 function failed'],
    ['504 x', '504 Timed out'],
    ['500 x', '502 invalid function response'],
  ] as const) {
    rig.fn.script = say(answer('for nobody', status, 'Fn-Http-Status: 201\r\nFn-Http-H-X-Own: yes\r\n'))
    assert.equal(await outcomeOf(send(`${rig.node.url}/t/shop/cart`, { headers: SCRIPTED })), message)
  }
  await rig.end()
})

const LIMIT = 10
const chunked = (body: string) =>
  `${OK}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const [most, more] = ['x'.repeat(LIMIT), 'x'.repeat(LIMIT + 1)]

/** All in one go: the head has not gone yet when the limit is reached. */
const sizes: readonly [string, string, string][] = [
  ['of the limit, with a length', answer(most), `200 ${most}`],
  ['of the limit, in chunks', chunked(most), `200 ${most}`],
  ['beyond the limit, with a length', answer(more), TOO_LARGE],
  ['that is only promised to go beyond the limit', answer(more).slice(0, -more.length), TOO_LARGE],
  ['beyond the limit, in chunks', chunked(more), TOO_LARGE],
  ['beyond the limit, up to the end', `${OK}Connection: close\r\n\r\n${more}`, TOO_LARGE],
  ['beyond the limit, of a failure', answer(more, '502 x'), '502 function failed'],
]
for (const [name, bytes, first] of sizes) {
  test(`a body ${name} is ${first}, and its container is kept`, async (t) => {
    const seen = await disturb(t, say(bytes), { node: { maxResponseSize: LIMIT } })
    assert.deepEqual(seen, { first, queued: '200 own:queued', later: '200 own:later', killed: 0 })
  })
}

test('a body that goes beyond the limit after its head has gone is broken, and its container is kept', async (t) => {
  const script: Script = async (connection) => {
    for (const piece of [`${OK}Connection: close\r\n\r\n`, most, 'x']) {
      connection.write(piece)
      for (let turns = 0; turns < 3; turns++) await turn() // until the node has read it
    }
  }
  const seen = await disturb(t, script, { node: { maxResponseSize: LIMIT } })
  assert.deepEqual(seen, { first: 'broken', queued: '200 own:queued', later: '200 own:later', killed: 0 })
})

test('a head of just less than 1 MiB is passed on, one of 1 MiB ends the container', async (t) => {
  const rig = await setUpFaults(t)
  rig.fn.script = say(answer('hello', '200 OK', `X-Big: ${'x'.repeat(MIB - 100)}\r\n`))
  assert.equal((await headers(rig))['x-big']?.length, MIB - 100)
  assert.equal(rig.driver.stopped.length, 0)
  rig.fn.script = say(answer('hello', '200 OK', `X-Big: ${'x'.repeat(MIB)}\r\n`))
  assert.equal(await scripted(rig), '502 function response header too large')
  assert.equal(rig.driver.stopped.length, 1)
  await rig.end()
})

/** The headers of a scripted answer, however large. */
function headers({ node }: FaultRig): Promise<Seen['headers']> {
  return new Promise((resolve, reject) => {
    request(
      node.url + INVOKE,
      { method: 'POST', headers: SCRIPTED, agent: false, maxHeaderSize: 2 * MIB },
      (res) => res.resume().on('end', () => resolve(res.headers)),
    )
      .on('error', reject)
      .end('x')
  })
}
