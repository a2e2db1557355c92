import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { completeAnswer } from '../support/complete-answer.ts'
import { fastClock } from '../support/fast-clock.ts'
import { clean, type FaultRig, setUpFaults } from '../support/fault-rig.ts'
import { INVOKE } from '../support/node-rig.ts'
import { SCRIPTED } from '../support/raw-function.ts'

/** Text of latin1 characters: one is one byte. */
const bytes = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array).toString('latin1'))

interface Answer {
  readonly body: string
  readonly bytes: string
}

const FRAMINGS: Record<string, (body: string) => string> = {
  length: (body) => `Content-Length: ${body.length}\r\n\r\n${body}`,
  close: (body) => `Connection: close\r\n\r\n${body}`,
  chunks: (body) => `Transfer-Encoding: chunked\r\n\r\n${chunks(body, 7)}0\r\n\r\n`,
  trailers: (body) => `Transfer-Encoding: chunked\r\n\r\n${chunks(body, 20)}0\r\nX-After: all\r\n\r\n`,
}

const chunks = (body: string, size: number): string =>
  body === ''
    ? ''
    : `${body.slice(0, size).length.toString(16)}\r\n${body.slice(0, size)}\r\n${chunks(body.slice(size), size)}`

/** A valid answer. */
const answers: fc.Arbitrary<Answer> = fc
  .record({
    body: bytes(40),
    framing: fc.constantFrom(...Object.keys(FRAMINGS)),
    interim: fc.constantFrom('', '', 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'),
  })
  .map(({ body, framing, interim }) => ({
    body,
    bytes: `${interim}HTTP/1.1 200 OK\r\nX-Some: header\r\n${FRAMINGS[framing]?.(body)}`,
  }))

/** What confuses readers of HTTP more often than chance does. */
const TOKENS = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  ':',
  '0\r\n\r\n',
  '5\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Connection: close\r\n',
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
]

/** A change at a place that is given as a share of the length. */
type Edit = { at: number } & ({ keep: 0 } | { drop: number } | { twice: number } | { insert: string })

const at = fc.double({ min: 0, max: 1, noNaN: true })
const edits: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ at, keep: fc.constant(0 as const) }),
  fc.record({ at, drop: fc.integer({ min: 1, max: 30 }) }),
  fc.record({ at, twice: fc.integer({ min: 1, max: 200 }) }),
  fc.record({ at, insert: fc.oneof(bytes(8), fc.constantFrom(...TOKENS)) }),
)

function apply(text: string, edit: Edit): string {
  const place = Math.floor(edit.at * text.length)
  const [before, after] = [text.slice(0, place), text.slice(place)]
  if ('keep' in edit) return before
  if ('drop' in edit) return before + after.slice(edit.drop)
  if ('twice' in edit) return before + after.slice(0, edit.twice) + after
  return before + edit.insert + after
}

/** Where bytes are cut into pieces, each a share of their length. */
const cuts = fc.array(at, { maxLength: 4 })

/** Writes bytes piece by piece, each in a turn of its own, and closes. */
async function play(connection: Socket, text: string, places: readonly number[]): Promise<void> {
  const ends = places.map((place) => Math.floor(place * text.length)).sort((a, b) => a - b)
  for (const [i, end] of [...ends, text.length].entries()) {
    connection.write(text.slice(ends[i - 1] ?? 0, end), 'latin1')
    await turn()
  }
  connection.end()
}

/** The body of a complete success, as latin1; `undefined` for anything else. */
function call(rig: FaultRig): Promise<string | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const calling = request(
      rig.node.url + INVOKE,
      { method: 'POST', headers: SCRIPTED, agent: false },
      (res) => {
        res.on('data', (chunk) => chunks.push(chunk))
        res.on('end', () =>
          resolve(res.statusCode === 200 ? Buffer.concat(chunks).toString('latin1') : undefined),
        )
        res.on('error', () => resolve(undefined))
      },
    )
    calling.on('error', () => resolve(undefined)).end('x')
  })
}

/** Checks what the caller of a scripted answer gets, then that the next caller gets its own. */
async function check(
  t: TestContext,
  numRuns: number,
  property: (
    say: (text: string, cuts: readonly number[]) => Promise<string | undefined>,
  ) => fc.IAsyncProperty<unknown>,
): Promise<void> {
  const rig = await setUpFaults(t, { node: { clock: fastClock(200) } })
  let runs = 0
  const say = async (text: string, places: readonly number[]) => {
    const { promise: played, resolve } = Promise.withResolvers<void>()
    rig.fn.script = (connection) => play(connection, text, places).then(resolve)
    const seen = await call(rig)
    await played
    assert.equal(await clean(rig, `next ${++runs}`), `200 own:next ${runs}`)
    return seen
  }
  await fc.assert(property(say), { numRuns })
  await rig.end()
}

test('a valid answer is a success with its very body, in whatever pieces it comes', (t) =>
  check(t, 100, (say) =>
    fc.asyncProperty(answers, cuts, async ({ body, bytes }, places) => {
      assert.equal(await say(bytes, places), body)
    }),
  ))

test('a damaged answer is a success only if it is a valid answer still, with the body that it then has', (t) =>
  check(t, 300, (say) =>
    fc.asyncProperty(
      answers,
      fc.array(edits, { minLength: 1, maxLength: 3 }),
      cuts,
      async (answer, changes, places) => {
        const text = changes.reduce(apply, answer.bytes)
        const seen = await say(text, places)
        if (seen !== undefined) assert.equal(seen, completeAnswer(text))
      },
    ),
  ))
