import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HrTime, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api'
import {
  AlwaysOffSampler,
  InMemorySpanExporter,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import fc from 'fast-check'
import { virtualClock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import { NO_WAIT } from '../core/headers.ts'
import { seededRandom } from '../core/random.ts'
import { parseTraceContext, traceIds } from '../core/trace-context.ts'
import { type CallOutcome, callTraces, SpanIds } from './traces.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const CALLER = '00f067aa0ba902b7'
const CALL_ID = '01M85NYHJDR00040GZJ0000001'
const START = 1_700_000_000_000
const RESOLVED = {
  definition: { app: { name: 'shop' }, fn: { id: '01M85NYHJDR00040GZJ0000002', name: 'pay' } },
  source: undefined,
}
/** A call that had to wait for nothing. */
const DONE: CallOutcome = {
  resolved: RESOLVED,
  slot: { granted: START, cold: false },
  wait: NO_WAIT,
  status: 200,
  error: undefined,
}

function rig(sampler?: Sampler) {
  const exporter = new InMemorySpanExporter()
  const ids = new SpanIds(traceIds(seededRandom(1)))
  const provider = new TracerProvider({
    idGenerator: ids,
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
    ...(sampler && { sampler }),
  })
  const clock = virtualClock(START)
  const faults: unknown[] = []
  const traces = callTraces({
    tracer: provider.getTracer('test'),
    ids,
    clock,
    failed: (error) => void faults.push(error),
  })
  const begin = (headers: Record<string, string> = {}, url = '/invoke/f1') => {
    const call = traces.begin({ id: CALL_ID, arrived: clock.now(), http: { method: 'POST', url, headers } })
    assert.ok(call)
    return call
  }
  const finished = () => exporter.getFinishedSpans()
  const spans = () => Object.fromEntries(finished().map((span) => [span.name, span]))
  return { clock, begin, finished, spans, faults }
}

const millis = ([seconds, nanos]: HrTime) => seconds * 1_000 + nanos / 1e6
const period = (span: ReadableSpan | undefined) =>
  span && [millis(span.startTime) - START, millis(span.endTime) - START]
const parentOf = (span: ReadableSpan | undefined) => span?.parentSpanContext?.spanId

test("a call's spans hang together: the caller's, invoke, its phases, and the function under run", () => {
  const { clock, begin, spans } = rig()
  const call = begin({ traceparent: `00-${TRACE}-${CALLER}-01`, tracestate: 'a=1,b=2' })
  const early: string[] = []
  call.pass(early)
  clock.advance(100)
  const headers = ['Accept', '*/*']
  call.pass(headers)
  const slot = { granted: clock.now(), cold: true }
  clock.advance(20)
  call.end({ ...DONE, wait: { queue: 10, start: 60, fetch: 30 }, slot })

  const { 'invoke shop/pay': invoke, queue, fetch, start, run } = spans()
  assert.equal(invoke?.kind, SpanKind.SERVER)
  assert.equal(run?.kind, SpanKind.CLIENT)
  assert.equal(parentOf(invoke), CALLER)
  for (const child of [queue, fetch, start, run]) assert.equal(parentOf(child), invoke?.spanContext().spanId)
  for (const span of Object.values(spans())) assert.equal(span.spanContext().traceId, TRACE)
  assert.equal(new Set(Object.values(spans()).map((span) => span.spanContext().spanId)).size, 5)
  assert.equal(invoke?.spanContext().traceState?.serialize(), 'a=1,b=2')
  const ours = ['traceparent', `00-${TRACE}-${run?.spanContext().spanId}-01`, 'tracestate', 'a=1,b=2']
  assert.deepEqual(headers, ['Accept', '*/*', ...ours])
  assert.deepEqual(early, ours)
  assert.deepEqual([invoke, queue, fetch, start, run].map(period), [
    [0, 120],
    [0, 10],
    [10, 40],
    [40, 100],
    [100, 120],
  ])
})

test('children lie inside their parent and do not overlap, whatever the clocks say', () => {
  const ms = fc.oneof(
    fc.constant(0),
    fc.nat(1e8).map((micros) => micros / 1_000),
  )
  const wait = fc.record({ queue: ms, start: ms, fetch: ms }, { noNullPrototype: true })
  fc.assert(
    fc.property(wait, ms, ms, fc.boolean(), (given, before, after, ran) => {
      const { clock, begin, spans } = rig()
      const call = begin()
      clock.advance(before)
      const slot = ran ? { granted: clock.now(), cold: true } : undefined
      clock.advance(after)
      call.end({ ...DONE, wait: given, slot })
      const { 'invoke shop/pay': invoke, ...children } = spans()
      assert.ok(invoke)
      let at = millis(invoke.startTime)
      for (const name of ['queue', 'fetch', 'start', 'run']) {
        const child = children[name]
        if (!child) continue
        assert.ok(millis(child.startTime) >= at, `${name} begins too early`)
        at = millis(child.endTime)
        assert.ok(at <= millis(invoke.endTime), `${name} ends too late`)
      }
      assert.equal('run' in children, ran)
    }),
  )
})

test('phases that took no time have no span, nor has a run that never began', () => {
  const ran = rig()
  ran.begin().end(DONE)
  assert.deepEqual(Object.keys(ran.spans()).toSorted(), ['invoke shop/pay', 'run'])

  const refused = rig()
  const call = refused.begin()
  call.pass([])
  call.end({ ...DONE, slot: undefined, status: 503, error: new SluiceError('busy') })
  assert.deepEqual(Object.keys(refused.spans()), ['invoke shop/pay'])
  assert.equal('faas.coldstart' in (refused.spans()['invoke shop/pay']?.attributes ?? {}), false)
})

test('a span tells the call in the words of the semantic conventions', () => {
  const { clock, begin, spans } = rig()
  const call = begin({ host: '[::1]:8080' }, '/invoke/f1?secret=1')
  clock.advance(3)
  call.end({ ...DONE, wait: { queue: 3, start: 0, fetch: 0 }, slot: { granted: START + 3, cold: false } })
  assert.deepEqual(spans()['invoke shop/pay']?.attributes, {
    'http.request.method': 'POST',
    'url.path': '/invoke/f1',
    'url.scheme': 'http',
    'server.address': '::1',
    'server.port': 8080,
    'faas.trigger': 'http',
    'faas.invocation_id': CALL_ID,
    'http.response.status_code': 200,
    'faas.coldstart': false,
    'sluice.queue_ms': 3,
    'sluice.start_ms': 0,
    'sluice.fetch_ms': 0,
    'http.route': '/invoke/{fn_id}',
    'sluice.app': 'shop',
    'sluice.fn': 'pay',
    'sluice.fn_id': RESOLVED.definition.fn.id,
  })
})

test("a function's fault makes both spans errors with its message; a refused request and a caller who left do not", () => {
  const faulty = rig()
  const call = faulty.begin()
  call.end({ ...DONE, status: 502, error: new SluiceError('function-failed', undefined, { detail: 'boom' }) })
  const error = { code: SpanStatusCode.ERROR, message: 'function failed: boom' }
  const { 'invoke shop/pay': invoke, run } = faulty.spans()
  assert.deepEqual(invoke?.status, error)
  assert.deepEqual(run?.status, error)
  assert.equal(invoke?.attributes['error.type'], 'function-failed')

  for (const code of ['not-found', 'client-gone'] as const) {
    const { begin, spans } = rig()
    begin().end({
      ...DONE,
      resolved: undefined,
      slot: undefined,
      status: undefined,
      error: new SluiceError(code),
    })
    assert.equal(spans()['invoke']?.status.code, SpanStatusCode.UNSET)
    assert.equal(spans()['invoke']?.attributes['error.type'], code)
  }
})

test('a status of 5xx that the function chose for its trigger is an error of the call, not of the run', () => {
  const { begin, spans } = rig()
  const call = begin({}, '/t/shop/pay')
  call.end({ ...DONE, resolved: { ...RESOLVED, source: '/pay' }, status: 503 })
  const { 'invoke shop/pay': invoke, run } = spans()
  assert.deepEqual(invoke?.status, { code: SpanStatusCode.ERROR })
  assert.equal(invoke?.attributes['error.type'], '503')
  assert.equal(invoke?.attributes['http.route'], '/t/shop/pay')
  assert.equal(run?.status.code, SpanStatusCode.UNSET)
})

test("the caller's context is replaced, not added to; for a trigger also where its function finds the caller's headers", () => {
  const { begin } = rig()
  const caller = `00-${TRACE}-${CALLER}-03`
  const call = begin({ traceparent: caller, tracestate: 'a=1' }, '/t/shop/pay')
  const headers = [
    ...['Fn-Intent', 'httprequest', 'Fn-Http-H-TraceParent', caller, 'Fn-Http-H-tracestate', 'a=1'],
    ...['Traceparent', caller, 'Content-Type', 'text/plain'],
  ]
  call.pass(headers)
  const ours = headers[headers.indexOf('traceparent') + 1] ?? ''
  assert.deepEqual(headers, [
    ...['Fn-Intent', 'httprequest', 'Content-Type', 'text/plain'],
    ...[
      'traceparent',
      ours,
      'tracestate',
      'a=1',
      'Fn-Http-H-traceparent',
      ours,
      'Fn-Http-H-tracestate',
      'a=1',
    ],
  ])
  const read = parseTraceContext(ours, undefined)
  assert.equal(read?.traceId, TRACE)
  assert.notEqual(read?.spanId, CALLER)
  assert.equal(read?.flags, 3, 'the trace id is as random as it was')
})

test('a broken context begins a new trace, and its tracestate goes', () => {
  const { begin, spans } = rig()
  const call = begin({ traceparent: `00-${'0'.repeat(32)}-${CALLER}-01`, tracestate: 'a=1' })
  const headers = ['traceparent', 'broken', 'tracestate', 'a=1']
  call.pass(headers)
  call.end(DONE)
  const invoke = spans()['invoke shop/pay']
  assert.equal(invoke?.parentSpanContext, undefined)
  assert.equal(headers.length, 2)
  assert.equal(parseTraceContext(headers[1], undefined)?.traceId, invoke?.spanContext().traceId)
})

test('a call that is sampled out records nothing and still says so to the function, under the same trace', () => {
  const samplers: [Sampler | undefined, string][] = [
    [undefined, '00'],
    [new AlwaysOffSampler(), '01'],
    [new TraceIdRatioBasedSampler(0), '01'],
    [new ParentBasedSampler({ root: new AlwaysOffSampler() }), '00'],
  ]
  for (const [sampler, flags] of samplers) {
    const { begin, spans } = rig(sampler)
    const call = begin({ traceparent: `00-${TRACE}-${CALLER}-${flags}` })
    const headers: string[] = []
    call.pass(headers)
    call.end(DONE)
    assert.deepEqual(spans(), {})
    const read = parseTraceContext(headers[1], undefined)
    assert.equal(read?.traceId, TRACE)
    assert.notEqual(read?.spanId, CALLER)
    assert.equal(read?.flags, 0)
  }
})

test('a wall clock that is set during a call moves none of its times', () => {
  const { clock, begin, spans } = rig()
  let wall = START
  clock.wall = () => wall
  const call = begin()
  clock.advance(5)
  wall -= 3_600_000
  const slot = { granted: clock.now(), cold: false }
  clock.advance(5)
  call.end({ ...DONE, slot })
  assert.deepEqual(period(spans()['run']), [5, 10])
})

test('a call ends once, and the next one has ids of its own', () => {
  const { begin, finished, faults } = rig()
  const call = begin()
  call.end(DONE)
  call.end({ ...DONE, status: 500 })
  assert.deepEqual(
    finished().map(({ name }) => name),
    ['run', 'invoke shop/pay'],
  )
  assert.equal(finished()[1]?.attributes['http.response.status_code'], 200)
  begin().end(DONE)
  assert.equal(new Set(finished().map((span) => span.spanContext().spanId)).size, 4)
  assert.deepEqual(faults, [])
})

test('a fault of tracing reaches the log, never the call', () => {
  const working = new TracerProvider().getTracer('test')
  for (const startsThatWork of [0, 1]) {
    let starts = 0
    const tracer = {
      startSpan(...args: Parameters<Tracer['startSpan']>) {
        if (starts++ >= startsThatWork) throw new Error('out of order')
        return working.startSpan(...args)
      },
    } as Tracer
    const faults: unknown[] = []
    const traces = callTraces({
      tracer,
      ids: new SpanIds(traceIds(seededRandom(1))),
      clock: virtualClock(START),
      failed: (error) => void faults.push(error),
    })
    const call = traces.begin({ id: CALL_ID, arrived: START, http: { method: 'GET', url: '/', headers: {} } })
    assert.equal(call !== undefined, startsThatWork > 0)
    call?.pass([])
    call?.end(DONE)
    assert.equal(faults.length, 1)
  }
})
