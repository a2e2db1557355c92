import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Collector, startCollector } from '../../test/support/otlp-collector.ts'
import { until } from '../../test/support/until.ts'
import { systemClock, virtualClock } from '../core/clock.ts'
import { NO_WAIT } from '../core/headers.ts'
import { type Logger, silentLogger } from '../core/logger.ts'
import { seededRandom, systemRandom } from '../core/random.ts'
import { parseTraceContext } from '../core/trace-context.ts'
import { readEnvironment } from '../host/config.ts'
import type { Traces } from '../node/traces.ts'
import { openTracing } from './tracing.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const CALLER = '00f067aa0ba902b7'

const around = { clock: systemClock, random: systemRandom, log: silentLogger, version: '1.2.3' }

const settings = (env: Record<string, string>) => readEnvironment(env).tracing

async function open(env: Record<string, string>, world: Partial<typeof around> = {}) {
  const tracing = await openTracing(settings(env), { ...around, ...world })
  assert.ok(tracing)
  return tracing
}

/** One call through the hands of tracing; returns what its function is sent. */
function trace(traces: Traces, headers: Record<string, string> = {}, clock = systemClock): string[] {
  const arrived = clock.now()
  const call = traces.begin({ id: 'c1', arrived, http: { method: 'POST', url: '/invoke/f1', headers } })
  assert.ok(call)
  const passed: string[] = []
  call.pass(passed)
  const definition = { app: { name: 'shop' }, fn: { id: 'f1', name: 'pay' } }
  const slot = { granted: arrived, cold: true }
  const resolved = { definition, source: undefined }
  call.end({ resolved, slot, wait: NO_WAIT, status: 200, error: undefined })
  return passed
}

function recorder(): { log: Logger; messages: string[]; errors: string[] } {
  const messages: string[] = []
  const errors: string[] = []
  const write = (level: string) => (fields: { readonly error?: string }, message: string) => {
    messages.push(`${level}: ${message}`)
    errors.push(fields.error ?? '')
  }
  return { log: { ...silentLogger, warn: write('warn'), debug: write('debug') }, messages, errors }
}

const span = (collector: Collector, name: string) => {
  const found = collector.spans.find((one) => one.name === name)
  assert.ok(found, `${name} among ${collector.spans.map((one) => one.name)}`)
  return found
}

test('a collector receives the spans of a call, as the function and the caller know them', async () => {
  await using collector = await startCollector()
  const before = BigInt(Date.now()) * 1_000_000n
  let passed: string[]
  {
    await using tracing = await open({
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/base/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-team=blue, x-key=a%20b',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.name=ignored',
      OTEL_SERVICE_NAME: 'edge',
    })
    passed = trace(tracing, { traceparent: `00-${TRACE}-${CALLER}-01`, tracestate: 'a=1' })
  }
  const after = BigInt(Date.now() + 1) * 1_000_000n
  assert.equal(collector.requests[0]?.path, '/base/v1/traces')
  assert.equal(collector.requests[0]?.headers['content-type'], 'application/x-protobuf')
  assert.equal(collector.requests[0]?.headers['x-team'], 'blue')
  assert.equal(collector.requests[0]?.headers['x-key'], 'a b')

  const invoke = span(collector, 'invoke shop/pay')
  const run = span(collector, 'run')
  assert.equal(collector.spans.length, 2)
  assert.deepEqual([invoke.traceId, invoke.parentSpanId, invoke.kind], [TRACE, CALLER, 'server'])
  assert.deepEqual([run.traceId, run.parentSpanId, run.kind], [TRACE, invoke.spanId, 'client'])
  assert.equal(invoke.state, 'a=1')
  assert.equal(parseTraceContext(passed[1], undefined)?.spanId, run.spanId)
  assert.equal(invoke.attributes['faas.coldstart'], true)
  assert.equal(invoke.attributes['http.response.status_code'], 200)
  assert.equal(invoke.attributes['sluice.queue_ms'], 0)
  assert.equal(invoke.status.code, 'unset')
  const { 'service.instance.id': instance, 'host.name': host, ...resource } = invoke.resource
  assert.deepEqual(resource, {
    'service.name': 'edge',
    'service.version': '1.2.3',
    'deployment.environment.name': 'test',
  })
  assert.ok(instance && host)
  const times = [before, invoke.start, run.start, run.end, invoke.end, after]
  assert.deepEqual(
    times,
    times.toSorted((a, b) => Number(a - b)),
  )
})

test('nothing is traced unless an endpoint is given and nothing speaks against it', async () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }
  assert.equal(settings({}), undefined)
  assert.equal(settings({ ...endpoint, OTEL_SDK_DISABLED: 'true' }), undefined)
  assert.equal(settings({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }), undefined)
  assert.equal(await openTracing(undefined, around), undefined)
  assert.equal(settings(endpoint)?.endpoint, 'http://127.0.0.1:4318/v1/traces')
  assert.equal(settings(endpoint)?.resource['service.name'], 'sluice-node')
  const own = { ...endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/own' }
  assert.equal(settings(own)?.endpoint, 'http://127.0.0.1:4318/own')
})

test('settings that cannot be followed are said in the log and stop nothing', async () => {
  const { log, messages } = recorder()
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }
  for (const env of [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4317' },
    { ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
  ])
    assert.equal(await openTracing(settings(env), { ...around, log }), undefined)
  for (const env of [
    { ...endpoint, OTEL_TRACES_SAMPLER: 'constructor' },
    { ...endpoint, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' },
    { ...endpoint, OTEL_EXPORTER_OTLP_TIMEOUT: 'soon' },
  ]) {
    const tracing = await open(env, { log })
    await tracing[Symbol.asyncDispose]()
  }
  assert.equal(messages.length, 5)
})

test('the sampler is the one of the environment, and what it drops is not sent but passed on', async () => {
  const cases = [
    { sampler: undefined, caller: '01', sent: true },
    { sampler: undefined, caller: '00', sent: false },
    { sampler: 'always_on', caller: '00', sent: true },
    { sampler: 'always_off', caller: '01', sent: false },
    { sampler: 'parentbased_always_off', caller: '01', sent: true },
    { sampler: 'parentbased_always_off', caller: undefined, sent: false },
    { sampler: 'traceidratio', arg: '0', caller: '01', sent: false },
    { sampler: 'parentbased_traceidratio', arg: '0', caller: undefined, sent: false },
    { sampler: 'parentbased_traceidratio', arg: '1', caller: undefined, sent: true },
    { sampler: 'parentbased_traceidratio', arg: '0', caller: '01', sent: true },
  ]
  for (const { sampler, arg, caller, sent } of cases) {
    await using collector = await startCollector()
    let passed: string[]
    {
      await using tracing = await open({
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        ...(sampler && { OTEL_TRACES_SAMPLER: sampler }),
        ...(arg && { OTEL_TRACES_SAMPLER_ARG: arg }),
      })
      passed = trace(tracing, caller === undefined ? {} : { traceparent: `00-${TRACE}-${CALLER}-${caller}` })
    }
    const what = `${sampler} ${arg} ${caller}`
    assert.equal(collector.spans.length > 0, sent, what)
    const read = parseTraceContext(passed[1], undefined)
    assert.equal(read?.flags, sent ? 1 : 0, what)
    if (caller !== undefined) assert.equal(read?.traceId, TRACE, what)
  }
})

test('about the share of traces that was asked for is kept', async () => {
  await using collector = await startCollector()
  {
    await using tracing = await open(
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
        OTEL_TRACES_SAMPLER_ARG: '0.25',
      },
      { random: seededRandom(7) },
    )
    for (let i = 0; i < 1_000; i++) trace(tracing)
  }
  const kept = collector.spans.filter(({ name }) => name === 'run').length
  assert.ok(kept > 200 && kept < 300, `${kept}`)
  assert.equal(collector.spans.length, 2 * kept)
})

test('a full batch is sent without waiting for the end', async () => {
  await using collector = await startCollector()
  await using tracing = await open({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
  for (let i = 0; i < 256; i++) trace(tracing)
  await until('the batch', () => collector.spans.length === 512)
})

test('an unreachable collector is one warning a minute, with calls and the end unharmed', async () => {
  const clock = virtualClock(1_700_000_000_000)
  const { log, messages, errors } = recorder()
  const collector = await startCollector()
  await collector[Symbol.asyncDispose]()
  await using tracing = await open(
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://localhost:${new URL(collector.url).port}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '50',
    },
    { clock, log },
  )
  const fail = async (times: number) => {
    for (let i = 0; i < 256; i++) trace(tracing, {}, clock)
    await until(`${times} failures`, () => messages.length === times)
  }
  await fail(1)
  await fail(2)
  assert.deepEqual(messages, ['warn: traces could not be sent', 'debug: traces could not be sent'])
  assert.match(errors[0] ?? '', /ECONNREFUSED/)
  clock.advance(60_000)
  await fail(3)
  assert.equal(messages[2], 'warn: traces could not be sent')
})

test('a collector that refuses is told of in the same way', async () => {
  await using collector = await startCollector({ status: 401 })
  const { log, messages } = recorder()
  {
    await using tracing = await open({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }, { log })
    trace(tracing)
  }
  assert.deepEqual(messages, ['warn: traces could not be sent'])
})

test('what comes faster than it can be sent is dropped, and how much that was is said', async () => {
  await using collector = await startCollector()
  const { log, messages, errors } = recorder()
  {
    await using tracing = await open({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }, { log })
    for (let i = 0; i < 6_000; i++) trace(tracing)
  }
  assert.deepEqual(messages, ['warn: traces come faster than they can be sent'])
  assert.deepEqual(errors, [`${12_000 - collector.spans.length} spans were dropped`])
  assert.ok(collector.spans.length >= 8_192)
})

test('a collector that never answers holds the end up no longer than its limit', async () => {
  await using collector = await startCollector({ hang: true })
  const clock = virtualClock(1_700_000_000_000)
  const { log, messages } = recorder()
  const tracing = await open(
    { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_TIMEOUT: '2000' },
    { clock, log },
  )
  trace(tracing, {}, clock)
  const closed = tracing[Symbol.asyncDispose]()
  await until('the request', () => collector.requests.length === 1)
  clock.advance(3_000)
  await closed
  assert.deepEqual(messages, ['warn: the last traces were not sent'])
})

test('a process with nothing left to do but to send traces ends', async () => {
  await using collector = await startCollector({ hang: true })
  const here = (file: string) => JSON.stringify(new URL(file, import.meta.url).href)
  const program = `
    import { openTracing } from ${here('./tracing.ts')}
    import { readEnvironment } from ${here('../host/config.ts')}
    import { systemClock } from ${here('../core/clock.ts')}
    import { silentLogger } from ${here('../core/logger.ts')}
    const tracing = await openTracing(readEnvironment().tracing, {
      clock: systemClock, random: Math.random, log: silentLogger, version: '0'
    })
    for (let i = 0; i < 700; i++)
      tracing.begin({ id: 'c', arrived: 0, http: { method: 'GET', url: '/', headers: {} } })
        .end({ wait: { queue: 0, start: 0, fetch: 0 } })
  `
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_TIMEOUT: '200' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  assert.deepEqual(await once(child, 'exit'), [0, null])
  assert.ok(collector.requests.length > 0)
})
