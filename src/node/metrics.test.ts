import assert from 'node:assert/strict'
import { test } from 'node:test'
import { http, INVOKE, send, setUpNode } from '../../test/support/node-rig.ts'
import { until } from '../../test/support/until.ts'

test('metrics count calls by function and outcome, starts by reason, and the time each clock took', async (t) => {
  const byBody = http((_req, res, body) => {
    res.statusCode = body === 'bad' ? 502 : body === 'late' ? 504 : 200
    res.end('hello')
  })
  const { node } = await setUpNode(t, byBody)
  for (const body of ['good', 'good', 'bad', 'late']) await send(node.url + INVOKE, { body })
  const text = await until('the last call to be counted', async () => {
    const { body } = await send(`${node.url}/metrics`, { method: 'GET' })
    return body.includes('sluice_run_seconds_count 4') ? body : undefined
  })
  for (const line of [
    'fn_completed_total{app="shop",fn="cart"} 2',
    'fn_errors_total{app="shop",fn="cart"} 1',
    'fn_timeouts_total{app="shop",fn="cart"} 1',
    'fn_server_busy_total{app="shop",fn="cart"} 0',
    'fn_running{app="shop",fn="cart"} 0',
    'sluice_starts_total{reason="first",outcome="ready"} 1',
    'sluice_wait_queue_seconds_count 4',
    'sluice_start_seconds_count{phase="fetch"} 1',
    'sluice_containers{state="idle"} 1',
    'sluice_memory_bytes{of="used"} 134217728',
    'sluice_cpus{of="total"} 4',
  ])
    assert.ok(text.includes(`${line}\n`), `no ${line} in\n${text}`)
})

test('calls that get no slot are counted as busy', async (t) => {
  let finish: (() => void) | undefined
  const slow = http((_req, res) => {
    finish = () => res.end()
  })
  const { node } = await setUpNode(t, slow, { fn: { max_concurrency: 1 } })
  const running = send(node.url + INVOKE)
  const headers = { 'Fn-Warm-Only': '1' }
  await until('a refusal', async () => (await send(node.url + INVOKE, { headers })).status === 503)
  const { body } = await send(`${node.url}/metrics`, { method: 'GET' })
  assert.match(body, /fn_server_busy_total\{app="shop",fn="cart"\} [1-9]/)
  const end = await until('the call to run', () => finish)
  end()
  await running
})

test('the three clocks count the same calls, also those that waited for nothing', async (t) => {
  const { node } = await setUpNode(
    t,
    http((_req, res) => res.end()),
  )
  for (let call = 0; call < 3; call++) await send(node.url + INVOKE)
  const { body } = await send(`${node.url}/metrics`, { method: 'GET' })
  for (const clock of ['queue', 'start', 'fetch'])
    assert.match(body, new RegExp(`^sluice_wait_${clock}_seconds_count 3$`, 'm'), clock)
})
