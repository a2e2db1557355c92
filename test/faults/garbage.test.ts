import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { seededRandom } from '../../src/core/random.ts'
import { clean, disturb, loadOf, outcomeOf, scripted, setUpFaults } from '../support/fault-rig.ts'
import { INVOKE, send } from '../support/node-rig.ts'
import { answer, SCRIPTED, type Script, say, sayLast } from '../support/raw-function.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const LOST = '502 error receiving function response'
const TOO_LARGE = '502 function response header too large'
const INVALID = '502 invalid function response'
const HELLO = answer('hello')

/** What a function does, what its caller gets, and whether its container is let go. */
type Row = readonly [name: string, script: Script, first: string, killed: number]

const heads: Row[] = [
  ['that is not HTTP', say('not http at all\r\n\r\n'), LOST, 1],
  ['that is a body without a head', sayLast('just the body'), LOST, 1],
  ['that is the beginning of TLS', say('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'), LOST, 1],
  ['that is a request', say('POST /call HTTP/1.1\r\nHost: x\r\n\r\n'), LOST, 1],
  ['without a status', say('HTTP/1.1 OK\r\n\r\n'), LOST, 1],
  ['with a status of two digits', say(answer('hello', '20 OK')), LOST, 1],
  ['with a status of four digits', say(answer('hello', '2000 OK')), LOST, 1],
  ['of HTTP/3.7', say(HELLO.replace('1.1', '3.7')), LOST, 1],
  ['with bare line feeds', say(HELLO.replaceAll('\r', '')), LOST, 1],
  ['with a NUL in a header', say(answer('hello', '200 OK', 'X-Nul: a\0b\r\n')), LOST, 1],
  ['with a NUL in the name of a header', say(answer('hello', '200 OK', 'X-N\0l: ab\r\n')), LOST, 1],
  ['with a DEL in a header', say(answer('hello', '200 OK', 'X-Del: a\x7fb\r\n')), LOST, 1],
  ['with a bare CR in a header', say(answer('hello', '200 OK', 'X-A: a\rX-B: b\r\n')), LOST, 1],
  ['with a folded header', say(answer('hello', '200 OK', 'X-A: a\r\n b\r\n')), LOST, 1],
  ['with a space before a colon', say(answer('hello', '200 OK', 'X-A : a\r\n')), LOST, 1],
  ['that switches protocols', say(answer('', '101 Up', 'Connection: upgrade\r\nUpgrade: x\r\n')), LOST, 1],
]

const bombs: Row[] = [
  ['one header of 2 MiB', say(`${OK}X-Big: ${'x'.repeat(2 * MIB)}`), TOO_LARGE, 1],
  ['a name of 2 MiB', say(OK + 'x'.repeat(2 * MIB)), TOO_LARGE, 1],
  ['100,000 headers', say(`${OK}${'X-Many: of these\r\n'.repeat(100_000)}\r\n`), TOO_LARGE, 1],
  ['a head that never ends', (connection) => pour(connection, 'X-More: and more\r\n', OK), TOO_LARGE, 1],
]

const lengths: Row[] = [
  ['a length and chunks', say(HELLO.replace(OK, `${OK}Transfer-Encoding: chunked\r\n`)), LOST, 1],
  ['two lengths', say(answer('hello', '200 OK', 'Content-Length: 4\r\n')), LOST, 1],
  ['one length twice', say(answer('hello', '200 OK', 'Content-Length: 5\r\n')), LOST, 1],
  ['a list of lengths', say(`${OK}Content-Length: 5, 5\r\n\r\nhello`), LOST, 1],
  ['a negative length', say(`${OK}Content-Length: -5\r\n\r\nhello`), LOST, 1],
  ['a signed length', say(`${OK}Content-Length: +5\r\n\r\nhello`), LOST, 1],
  ['a hexadecimal length', say(`${OK}Content-Length: 0x5\r\n\r\nhello`), LOST, 1],
  ['an empty length', say(`${OK}Content-Length: \r\n\r\nhello`), LOST, 1],
  ['a length beyond 64 bits', say(`${OK}Content-Length: 18446744073709551621\r\n\r\nhello`), LOST, 1],
  ['a length beyond 53 bits', sayLast(`${OK}Content-Length: 9007199254740997\r\n\r\nhello`), 'broken', 1],
  ['a length longer than the body', sayLast(`${OK}Content-Length: 6\r\n\r\nhello`), 'broken', 1],
  ['a coding that is not chunked', sayLast(`${OK}Transfer-Encoding: gzip\r\n\r\nhello`), INVALID, 1],
  ['a coding below the chunks', say(CHUNKED.replace('chunked', 'gzip, chunked')), INVALID, 1],
  ['chunks below a coding', sayLast(CHUNKED.replace('chunked', 'chunked, gzip')), INVALID, 1],
  ['a size of a chunk that is no number', say(`${CHUNKED}zz\r\nhello\r\n0\r\n\r\n`), 'broken', 1],
  ['a negative size of a chunk', say(`${CHUNKED}-5\r\nhello\r\n0\r\n\r\n`), 'broken', 1],
  ['a chunk longer than its size', say(`${CHUNKED}4\r\nhello\r\n0\r\n\r\n`), 'broken', 1],
  ['a chunk shorter than its size', say(`${CHUNKED}6\r\nhello\r\n0\r\n\r\n`), 'broken', 1],
  ['a size of a chunk beyond 64 bits', say(`${CHUNKED}10000000000000005\r\nhello\r\n0\r\n\r\n`), 'broken', 1],
  ['no last chunk', sayLast(`${CHUNKED}5\r\nhello\r\n`), 'broken', 1],
  ['half a last chunk', sayLast(`${CHUNKED}5\r\nhello\r\n0\r\n`), 'broken', 1],
  ['trailers of 2 MiB', say(`${CHUNKED}5\r\nhello\r\n0\r\nX-T: ${'x'.repeat(2 * MIB)}`), 'broken', 1],
]

const ends: Row[] = [
  ['before the head', (connection) => connection.destroy(), LOST, 1],
  ['by its own half, before the head', (connection) => connection.end(), LOST, 1],
  ['in the head', sayLast(`${OK}Content-Le`), LOST, 1],
  ['in the body', (connection) => cut(connection, `${OK}Content-Length: 6\r\n\r\nhello`), 'broken', 1],
  ['in a failure', sayLast('HTTP/1.1 502 x\r\nContent-Length: 6\r\n\r\nhello'), '502 function failed', 1],
]

const extras: Row[] = [
  ['bytes beyond its length', say(`${HELLO}EXTRA`), '200 hello', 0],
  ['a second answer', say(HELLO + answer('evil')), '200 hello', 0],
  ['a second answer in chunks', say(`${CHUNKED}5\r\nhello\r\n0\r\n\r\n${answer('evil')}`), '200 hello', 0],
  [
    'a second answer though it closes',
    say(`${answer('hello', '200 OK', 'Connection: close\r\n')}${answer('evil')}`),
    '200 hello',
    0,
  ],
  [
    'a second answer after a failure',
    say(answer('hello', '502 x') + answer('evil')),
    '502 function failed',
    0,
  ],
  ['a second answer after a break of protocol', say(answer('hello', '500 x') + answer('evil')), INVALID, 1],
]

function testRows(title: (name: string) => string, rows: readonly Row[]): void {
  for (const [name, script, first, killed] of rows) {
    test(title(name), async (t) => {
      assert.deepEqual(await disturb(t, script), {
        first,
        queued: '200 own:queued',
        later: '200 own:later',
        killed,
      })
    })
  }
}

testRows((name) => `an answer ${name} is an error, and the callers after it get their own`, heads)
testRows((name) => `${name} is refused as too large a head, and ends the container`, bombs)
testRows((name) => `an answer with ${name} is never a success cut short`, lengths)
testRows((name) => `a function that closes its connection ${name} gives no success cut short`, ends)
testRows((name) => `${name} reaches no other caller`, extras)

test('a second answer that comes late reaches no other caller', async (t) => {
  // Each in a turn of its own, so that the node has read the first before the second is there.
  const late: Script = (connection) =>
    setImmediate(() => {
      connection.write(HELLO)
      setImmediate(() => connection.write(answer('evil')))
    })
  const seen = await disturb(t, late)
  assert.deepEqual([seen.first, seen.queued], ['200 hello', '200 own:queued'])
})

test('of 2,000 calls to a function that says everything twice, the second time late, none gets another answer than its own', async (t) => {
  const rig = await setUpFaults(t)
  const random = seededRandom(3)
  const sayLate = (connection: Socket, bytes: string, turns: number): void => {
    if (turns > 0) setImmediate(() => sayLate(connection, bytes, turns - 1))
    else if (!connection.destroyed) connection.write(bytes)
  }
  rig.fn.script = async (connection, incoming) => {
    const bytes = answer(`own:${await text(incoming)}`)
    connection.write(bytes)
    sayLate(connection, bytes, Math.floor(random() * 20))
  }
  for (let i = 0; i < 2_000; i++) assert.equal(await scripted(rig, `call ${i}`), `200 own:call ${i}`)
  assert.equal(rig.driver.started, 1)
  await rig.end()
})

test('a function that closes its connection after an answer costs the next caller nothing', async (t) => {
  const seen = await disturb(t, sayLast(HELLO))
  assert.deepEqual(seen, { first: '200 hello', queued: '200 own:queued', later: '200 own:later', killed: 0 })
})

/** Seconds of the node's clock. */
const SHORT = { fn: { timeout: 30 } }
const silences: readonly [string, Script, string][] = [
  ['without a head', () => {}, '504 Timed out'],
  ['in its head', say(`${OK}X-Half: `), '504 Timed out'],
  ['in its body', say(`${OK}Content-Length: 6\r\n\r\nhello`), 'broken'],
  ['between its chunks', say(`${CHUNKED}5\r\nhello\r\n`), 'broken'],
  ['after an endless reason', say(`HTTP/1.1 200 ${'x'.repeat(2 * MIB)}`), '504 Timed out'],
]
for (const [name, script, first] of silences) {
  test(`an answer that stops ${name} is ended by the timeout, and the callers after it get their own`, async (t) => {
    const seen = await disturb(t, script, SHORT)
    assert.deepEqual(seen, { first, queued: '200 own:queued', later: '200 own:later', killed: 1 })
  })
}

for (const [status, seen] of [
  ['502 x', '502 function failed'],
  ['504 x', '504 Timed out'],
] as const) {
  for (const [name, head] of Object.entries({
    'with a length': `HTTP/1.1 ${status}\r\nContent-Length: 6\r\n\r\n`,
    'with half a body': `HTTP/1.1 ${status}\r\nContent-Length: 6\r\n\r\nhel`,
    'in chunks': `HTTP/1.1 ${status}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'up to the end': `HTTP/1.1 ${status}\r\n\r\n`,
  })) {
    test(`a failure ${status} ${name} that then stops is ended by the timeout, and its slot is free`, async (t) => {
      const aftermath = await disturb(t, say(head), SHORT)
      assert.deepEqual(aftermath, {
        first: seen,
        queued: '200 own:queued',
        later: '200 own:later',
        killed: 1,
      })
    })
  }

  test(`a caller who leaves during a failure ${status} that has stopped frees its slot`, async (t) => {
    const rig = await setUpFaults(t)
    const { promise: said, resolve } = Promise.withResolvers<void>()
    rig.fn.script = (connection) =>
      connection.write(`HTTP/1.1 ${status}\r\nContent-Length: 6\r\n\r\n`, () => resolve())
    const caller = request(rig.node.url + INVOKE, { method: 'POST', headers: SCRIPTED, agent: false })
    caller.on('error', () => {}).end('x')
    await said
    for (let turns = 0; turns < 3; turns++) await turn() // until the node has read it
    caller.destroy()
    assert.equal(await clean(rig, 'next'), '200 own:next')
    assert.deepEqual([rig.driver.stopped.length, (await loadOf(rig)).run], [1, 0])
    await rig.end()
  })
}

test('interim answers without end are ended by the timeout', async (t) => {
  const interim = 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'
  const seen = await disturb(t, (connection) => pour(connection, interim), SHORT)
  assert.deepEqual([seen.first, seen.queued, seen.killed], ['504 Timed out', '200 own:queued', 1])
})

test('an answer that comes before the request was read is the answer, and its connection is not used again', async (t) => {
  const early: Script = (connection, request) =>
    connection.write(HELLO, () => setImmediate(() => request.resume()))
  const seen = await disturb(t, early, { body: 'x'.repeat(4 * MIB) })
  assert.deepEqual(seen, { first: '200 hello', queued: '200 own:queued', later: '200 own:later', killed: 0 })
})

for (const [size, body] of Object.entries({ small: 'x', large: 'x'.repeat(4 * MIB) })) {
  test(`a ${size} request that nobody reads is ended by the timeout`, async (t) => {
    const rig = await setUpFaults(t, SHORT)
    rig.fn.deaf = 1
    const first = outcomeOf(send(rig.node.url + INVOKE, { body }))
    await until('the first call to run', async () => (await loadOf(rig)).run === 1)
    const queued = clean(rig, 'queued')
    assert.deepEqual([await first, await queued], ['504 Timed out', '200 own:queued'])
    assert.equal(rig.driver.started, 2)
    await rig.end()
  })
}

test('a container that gave garbage is not used again, one that gave a failure is', async (t) => {
  const rig = await setUpFaults(t)
  for (const [bytes, started] of [
    [answer('', '502 x'), 1],
    ['garbage', 1],
    [HELLO, 2],
  ] as const) {
    rig.fn.script = say(bytes)
    await scripted(rig)
    assert.equal(rig.driver.started, started)
  }
  await rig.end()
})

/** Writes as much as is taken, until the connection is closed. */
function pour(connection: Parameters<Script>[0], piece: string, first = ''): void {
  connection.write(first)
  const more = () => {
    if (connection.destroyed) return
    if (connection.write(piece.repeat(1_000))) setImmediate(more)
    else connection.once('drain', more)
  }
  more()
}

function cut(connection: Parameters<Script>[0], bytes: string): void {
  connection.write(bytes, () => connection.destroy())
}
