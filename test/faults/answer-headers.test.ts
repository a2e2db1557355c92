import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { test } from 'node:test'
import { parseWait } from '../../src/core/headers.ts'
import { isId } from '../../src/core/ids.ts'
import { parseLoad } from '../../src/core/load.ts'
import { parseDuration } from '../../src/core/units.ts'
import { type FaultRig, setUpFaults } from '../support/fault-rig.ts'
import { INVOKE } from '../support/node-rig.ts'
import { answer, SCRIPTED, say } from '../support/raw-function.ts'

const TRIGGER = '/t/shop/cart'

/** What a node says of itself and of the connection; everything else is the function's. */
const OURS = ['fn-call-id', 'fxlb-wait', 'fn-wait', 'fn-load', 'fn-function', 'server-timing', 'date']
const FRAMING = ['connection', 'keep-alive', 'transfer-encoding', 'content-length']

interface Seen {
  readonly status: number
  /** `Name: value`, as they came. */
  readonly lines: readonly string[]
  readonly trailers: readonly string[]
  readonly body: string
}

function call(
  { node }: FaultRig,
  path: string,
  over: { method?: string; agent?: Agent } = {},
): Promise<Seen> {
  const { method = 'POST', agent = false } = over
  return new Promise((resolve, reject) => {
    const calling = request(node.url + path, { method, agent, headers: SCRIPTED }, (res) => {
      let body = ''
      res.setEncoding('latin1').on('data', (chunk) => {
        body += chunk
      })
      res.on('error', reject).on('end', () =>
        resolve({
          status: res.statusCode as number,
          lines: linesOf(res.rawHeaders),
          trailers: linesOf(res.rawTrailers),
          body,
        }),
      )
    })
    calling.on('error', reject).end()
  })
}

function linesOf(raw: readonly string[]): string[] {
  const lines: string[] = []
  for (let i = 0; i < raw.length; i += 2) lines.push(`${raw[i]}: ${raw[i + 1]}`)
  return lines
}

const nameOf = (line: string) => line.slice(0, line.indexOf(':')).toLowerCase()
const without = (lines: readonly string[], names: readonly string[]) =>
  lines.filter((line) => !names.includes(nameOf(line)))
const valuesOf = (lines: readonly string[], name: string) =>
  lines.filter((line) => nameOf(line) === name).map((line) => line.slice(name.length + 2))

/** An answer with these header lines. */
const answerWith = (lines: readonly string[], body = 'hello') =>
  say(answer(body, '200 OK', lines.map((line) => `${line}\r\n`).join('')))

/** The lines that are left of those that a function says, by a path. */
async function passing(rig: FaultRig, path: string, lines: readonly string[]): Promise<string[]> {
  rig.fn.script = answerWith(lines)
  const seen = await call(rig, path)
  assert.equal(seen.body, 'hello')
  return without(seen.lines, [...OURS, ...FRAMING])
}

test('the caller of invoke gets what a function says as it was said', async (t) => {
  const rig = await setUpFaults(t)
  const lines = [
    'Content-Type: text/x-own; charset=latin1',
    'X-oDD-cAsE: Value',
    'x-lower: value',
    'Set-Cookie: a=1',
    'set-cookie: b=2',
    'X-Latin: caf\xe9 \xff',
    'X-Empty: ',
    "X-!#$%&'*+.^_`|~: token",
    'Fn-Http-Status: 404',
    'Fn-Http-H-X-Inner: raw',
    'Fn-Fdk-Version: fdk-test/1',
    'Content-Encoding: gzip',
  ]
  assert.deepEqual(await passing(rig, INVOKE, lines), lines)
  await rig.end()
})

/** What only a node may say, each with a lie. */
const LIES = {
  'FXLB-WAIT': '1h',
  'XXX-FXLB-WAIT': '1h',
  'Fn-Wait': 'queue=1h,start=1h,fetch=1h',
  'Fn-Load': 'run=0,queue=0,cap=9,idle=9,boot=x,seq=9',
  'Fn-Function': 'OTHER',
  'Fn-Reject': 'busy',
  'Fn-Origin': 'platform',
  'Fn-Call-Id': 'forged',
  'Fn-Warm-Only': '1',
}

const spellings: readonly [string, string, (name: string) => string][] = [
  ['as they are', INVOKE, (name) => name],
  ['in lower case', INVOKE, (name) => name.toLowerCase()],
  ['as they are', TRIGGER, (name) => name],
  ['as headers of a trigger', TRIGGER, (name) => `Fn-Http-H-${name}`],
  ['in upper case', TRIGGER, (name) => `fn-HTTP-h-${name.toUpperCase()}`],
]
for (const [how, path, spell] of spellings) {
  test(`what only a node may say is not the function's to say, ${how}, by ${path}`, async (t) => {
    const rig = await setUpFaults(t)
    rig.fn.script = answerWith(Object.entries(LIES).map(([name, lie]) => `${spell(name)}: ${lie}`))
    const { lines } = await call(rig, path)
    const only = (name: string) => {
      const [value = '', ...others] = valuesOf(lines, name)
      assert.deepEqual(others, [], name)
      return value
    }
    assert.ok((parseDuration(only('fxlb-wait')) as number) < 3_600_000)
    assert.equal(parseWait(only('fn-wait'))?.fetch === 3_600_000, false)
    assert.notEqual(parseLoad(only('fn-load'))?.boot, 'x')
    assert.ok(isId(only('fn-call-id')))
    assert.match(only('fn-function'), /^FN\b/)
    assert.deepEqual(without(lines, [...OURS, ...FRAMING]), [])
    await rig.end()
  })
}

test('a function adds to the timings, and takes none away', async (t) => {
  const rig = await setUpFaults(t)
  rig.fn.script = answerWith(['Server-Timing: db;dur=1', 'Fn-Http-H-Server-Timing: cache;dur=2'])
  const [invoked, triggered] = [await call(rig, INVOKE), await call(rig, TRIGGER)]
  for (const [{ lines }, own] of [
    [invoked, 'db;dur=1'],
    [triggered, 'cache;dur=2'],
  ] as const) {
    const timings = valuesOf(lines, 'server-timing')
    assert.equal(timings.filter((value) => value === own).length, 1)
    assert.equal(timings.filter((value) => /queue;dur=.*run;dur=/.test(value)).length, 1)
  }
  await rig.end()
})

test('what belongs to one connection ends there, and what a Connection header names', async (t) => {
  const rig = await setUpFaults(t)
  const lines = [
    'Connection: x-secret, X-Other',
    'Connection: X-THIRD',
    'X-Secret: 1',
    'x-other: 2',
    'X-Third: 3',
    'Keep-Alive: timeout=75',
    'Proxy-Connection: keep-alive',
    'Proxy-Authenticate: Basic',
    'Proxy-Authorization: Basic x',
    'Trailer: X-After',
    'Te: gzip',
    'Upgrade: websocket',
    'X-Own: yes',
  ]
  assert.deepEqual(await passing(rig, INVOKE, lines), ['X-Own: yes'])
  const inner = lines.map((line) => `Fn-Http-H-${line}`)
  assert.deepEqual(await passing(rig, TRIGGER, inner), [
    'X-Secret: 1',
    'x-other: 2',
    'X-Third: 3',
    'X-Own: yes',
  ])
  await rig.end()
})

test('the caller of a trigger gets the headers that are meant for it, and no others', async (t) => {
  const rig = await setUpFaults(t)
  const lines = [
    'Content-Type: text/x-own',
    'X-Plain: no',
    'Set-Cookie: plain=no',
    'Fn-Fdk-Version: fdk-test/1',
    'Fn-Http-H-X-oDD: Value',
    'fn-http-h-set-cookie: a=1',
    'FN-HTTP-H-Set-Cookie: b=2',
    'Fn-Http-H-X-Latin: caf\xe9 \xff',
    'Fn-Http-H-: nothing',
    'Fn-Http-H-Content-Length: 999',
    'Fn-Http-H-Transfer-Encoding: chunked',
    'Fn-Http-H-Content-Type: text/x-inner',
  ]
  assert.deepEqual(await passing(rig, TRIGGER, lines), [
    'Content-Type: text/x-own',
    'X-oDD: Value',
    'set-cookie: a=1',
    'Set-Cookie: b=2',
    'X-Latin: caf\xe9 \xff',
  ])
  await rig.end()
})

test('trailers pass, but for those that frame the answer or belong to the node', async (t) => {
  const rig = await setUpFaults(t)
  const trailers = [...Object.entries(LIES), ['Transfer-Encoding', 'chunked'], ['X-After', 'all']]
  const lines = trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  rig.fn.script = say(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${lines}\r\n`)
  for (const path of [INVOKE, TRIGGER]) {
    const seen = await call(rig, path)
    assert.deepEqual([seen.body, seen.trailers], ['hello', ['X-After: all']])
  }
  await rig.end()
})

const statuses: readonly [readonly string[], number][] = [
  [['404'], 404],
  [['200'], 200],
  [['599'], 599],
  [['404', '500'], 404],
  ...['600', '199', '101', '0', '-404', '4e2', '0x194', '404.0', '4040', 'Not Found', ''].map(noStatus),
]

function noStatus(text: string): (typeof statuses)[number] {
  return [[text], 200]
}

for (const [values, status] of statuses) {
  test(`Fn-Http-Status ${values.join(' and ')} is the status ${status} of a trigger`, async (t) => {
    const rig = await setUpFaults(t)
    rig.fn.script = answerWith(values.map((value) => `Fn-Http-Status: ${value}`))
    const seen = await call(rig, TRIGGER)
    assert.deepEqual([seen.status, seen.body], [status, 'hello'])
    await rig.end()
  })
}

const silent: readonly [string, string, string][] = [
  ['a HEAD request', 'HEAD', '200'],
  ['status 204', 'POST', '204'],
  ['status 304', 'POST', '304'],
]
for (const [name, method, status] of silent) {
  for (const size of [5, 500_000]) {
    test(`a body of ${size} bytes that ${name} forbids is left out, and the connection goes on`, async (t) => {
      const rig = await setUpFaults(t)
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      t.after(() => agent.destroy())
      rig.fn.script = answerWith([`Fn-Http-Status: ${status}`], 'x'.repeat(size))
      const seen = await call(rig, TRIGGER, { method, agent })
      assert.deepEqual([seen.status, seen.body], [Number(status), ''])
      rig.fn.script = answerWith([])
      assert.equal((await call(rig, TRIGGER, { agent })).body, 'hello')
      await rig.end()
    })
  }
}
