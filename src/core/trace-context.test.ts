import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from './random.ts'
import {
  formatTraceparent,
  formatTracestate,
  parseTraceContext,
  parseTracestate,
  traceIds,
} from './trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const VALID = `00-${TRACE}-${SPAN}-01`

const hex = (length: number) =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`)).filter((text) => /[^0]/.test(text))
const key = fc.stringMatching(/^[a-z0-9][a-z0-9_\-*/@]{0,40}$/)
const value = fc.stringMatching(/^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,40}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/)
/** White space around a member belongs to nobody, so a value that begins with a space does not survive. */
const members = fc.array(
  fc.tuple(
    key,
    value.filter((text) => !text.startsWith(' ')),
  ),
  { maxLength: 32 },
)
const context = fc.record(
  {
    traceId: hex(32),
    spanId: hex(16),
    flags: fc.nat(3),
    state: members.map((pairs) => new Map(pairs)),
  },
  { noNullPrototype: true },
)

test('a context survives its headers', () => {
  fc.assert(
    fc.property(context, (given) => {
      const read = parseTraceContext(formatTraceparent(given), formatTracestate(given.state))
      assert.deepEqual(read, given)
      assert.deepEqual([...(read?.state.keys() ?? [])], [...given.state.keys()], 'in the same order')
    }),
  )
})

test('a traceparent with any one character changed is refused or says something else that is valid', () => {
  fc.assert(
    fc.property(
      fc.nat(VALID.length - 1),
      fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 1 }),
      (at, char) => {
        const changed = VALID.slice(0, at) + char + VALID.slice(at + 1)
        const read = parseTraceContext(changed, undefined)
        const allowed = /^(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(changed)
        assert.equal(read !== undefined, allowed, changed)
      },
    ),
  )
})

test('any text at all is parsed without a fault', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 80 }), fc.string({ maxLength: 80 }), (traceparent, tracestate) => {
      parseTraceContext(traceparent, tracestate)
      parseTraceContext(VALID, tracestate)
    }),
  )
})

test('what breaks the rules of traceparent is no context', () => {
  const broken = {
    'nothing at all': undefined,
    'an empty text': '',
    'version ff': `ff-${TRACE}-${SPAN}-01`,
    'a trace id of zeros': `00-${'0'.repeat(32)}-${SPAN}-01`,
    'a span id of zeros': `00-${TRACE}-${'0'.repeat(16)}-01`,
    'upper-case digits': VALID.toUpperCase(),
    'something after version 00': `${VALID}-more`,
    'a dash after version 00': `${VALID}-`,
    'flags of one digit': `00-${TRACE}-${SPAN}-1`,
    'a later version that goes on without a dash': `cc-${TRACE}-${SPAN}-01.more`,
    'a later version that is too short': `cc-${TRACE}-${SPAN}`,
    'two headers joined': `${VALID}, ${VALID}`,
    'white space': ` ${VALID}`,
  }
  for (const [what, text] of Object.entries(broken))
    assert.equal(parseTraceContext(text, 'a=1'), undefined, what)
})

test('a later version is read as far as version 00 goes, and unknown flags are not passed on', () => {
  const known = { traceId: TRACE, spanId: SPAN, flags: 1, state: new Map() }
  assert.deepEqual(parseTraceContext(`cc-${TRACE}-${SPAN}-01-what-is-to-come`, undefined), known)
  assert.deepEqual(parseTraceContext(`cc-${TRACE}-${SPAN}-01`, undefined), known)
  assert.equal(parseTraceContext(`00-${TRACE}-${SPAN}-ff`, undefined)?.flags, 3)
  assert.equal(parseTraceContext(`00-${TRACE}-${SPAN}-f8`, undefined)?.flags, 0)
})

test('a broken tracestate is dropped whole, and the trace goes on', () => {
  for (const text of [
    'a=1,b',
    'A=1',
    '=1',
    'a=',
    'a =1',
    'a=1=2',
    'a=\u00e9',
    '@a=1',
    `${'a'.repeat(257)}=1`,
    `a=${'1'.repeat(257)}`,
    Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(','),
  ]) {
    assert.equal(parseTracestate(text), undefined, text)
    assert.deepEqual(parseTraceContext(VALID, text), {
      traceId: TRACE,
      spanId: SPAN,
      flags: 1,
      state: new Map(),
    })
  }
})

test('a tracestate may have empty members, white space around members and 32 of the longest', () => {
  assert.deepEqual(
    [...(parseTracestate('a=1,,\tb@c=x y ,') ?? [])],
    [
      ['a', '1'],
      ['b@c', 'x y'],
    ],
  )
  assert.deepEqual(
    [...(parseTracestate('a=1,b=2,a=3') ?? [])],
    [
      ['a', '1'],
      ['b', '2'],
    ],
  )
  const longest = Array.from({ length: 32 }, (_, i) => `${`${i}`.padEnd(256, 'k')}=${'v'.repeat(256)}`)
  assert.equal(formatTracestate(parseTracestate(longest.join(', ')) ?? new Map()), longest.join(','))
})

test('ids have the right form, whatever chance gives, and do not repeat', () => {
  const random = fc.oneof(
    fc.integer().map((seed) => seededRandom(seed)),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }).map((constant) => () => constant),
  )
  fc.assert(
    fc.property(random, (chance) => {
      const ids = traceIds(chance)
      const made = { traceId: ids.traceId(), spanId: ids.spanId(), flags: 1, state: new Map() }
      assert.deepEqual(parseTraceContext(formatTraceparent(made), undefined), made)
    }),
  )
  const ids = traceIds(seededRandom(1))
  assert.equal(new Set(Array.from({ length: 10_000 }, () => ids.spanId())).size, 10_000)
})
