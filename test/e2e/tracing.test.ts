import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { openTracing } from '../../src/compose/tracing.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { systemRandom } from '../../src/core/random.ts'
import { readEnvironment } from '../../src/host/config.ts'
import { http, INVOKE, send, setUpNode } from '../support/node-rig.ts'
import { type Collector, type ReceivedSpan, startCollector } from '../support/otlp-collector.ts'
import { until } from '../support/until.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const CALLER = '00f067aa0ba902b7'

const open = async ({ url }: Collector) => {
  const { tracing } = readEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: '100' })
  const world = { clock: systemClock, random: systemRandom, log: silentLogger, version: 'test' }
  return (await openTracing(tracing, world)) ?? assert.fail('no tracing')
}

const named = (spans: readonly ReceivedSpan[], name: string) => spans.filter((span) => span.name === name)

test('calls through a node are traced: first, hot, failed and abandoned ones, with the function inside the trace', async (t) => {
  await using collector = await startCollector()
  const traces = await open(collector)
  const parents: unknown[] = []
  const fn = http((req, res, body) => {
    parents.push(req.headers['traceparent'])
    if (body === 'hang') return
    res.statusCode = body === 'fail' ? 502 : 200
    res.end('hello')
  })
  const { node } = await setUpNode(t, fn, { node: { traces } })
  const headers = { traceparent: `00-${TRACE}-${CALLER}-01` }
  for (const body of ['first', 'hot', 'fail']) await send(node.url + INVOKE, { headers, body })
  await send(`${node.url}/t/shop/cart?secret=1`, { method: 'GET', headers })
  await send(`${node.url}/invoke/unknown`, { headers })
  const leaving = request(node.url + INVOKE, { method: 'POST', headers })
  leaving.on('error', () => {})
  leaving.end('hang')
  await until('the last call to run', () => parents.length === 5)
  leaving.destroy()
  await until('its end', async () => {
    const { body } = await send(`${node.url}/node/load`, { method: 'GET' })
    return JSON.parse(body).run === 0
  })
  await traces[Symbol.asyncDispose]()

  const { spans } = collector
  assert.ok(spans.every(({ traceId }) => traceId === TRACE))
  const calls = spans.filter(({ kind }) => kind === 'server')
  assert.equal(calls.length, 6)
  assert.ok(calls.every(({ parentSpanId }) => parentSpanId === CALLER))
  const runs = named(spans, 'run')
  assert.deepEqual(new Set(parents), new Set(runs.map(({ spanId }) => `00-${TRACE}-${spanId}-01`)))
  assert.equal(named(spans, 'start').length, 1, 'only the first call waited for a container')
  for (const child of spans.filter(({ kind }) => kind !== 'server')) {
    const parent = calls.find(({ spanId }) => spanId === child.parentSpanId) ?? assert.fail(child.name)
    assert.ok(child.start >= parent.start && child.end <= parent.end, `${child.name} lies within its call`)
  }
  const codes = calls.map(({ attributes }) => attributes['http.response.status_code'])
  assert.deepEqual(codes.filter((code) => code === 200).length, 3)
  assert.ok(codes.includes(502) && codes.includes(404))
  assert.ok(!JSON.stringify(spans, (_, value) => `${value}`).includes('secret'))
})
