import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import type { Readable } from 'node:stream'
import { afterEach, test } from 'node:test'
import { until } from '../../../test/support/until.ts'
import { systemClock, virtualClock } from '../../core/clock.ts'
import type { Stat } from '../driver.ts'
import { measurable, usageOf } from './usage.ts'

const skip = measurable().length === 0 && 'no /proc here: needs Linux'
let children: ChildProcess[] = []
afterEach(async () => {
  for (const child of children) {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  children = []
})

/** A shell with one child, a Node that runs `script`; resolves once that has written a line. */
async function startFamily(script: string): Promise<number> {
  const command = `"$0" -e "$1" & wait; read never`
  const child = spawn('sh', ['-c', command, process.execPath, script], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  await once(createInterface(child.stdout as Readable), 'line')
  return child.pid as number
}

const BURN = 'for (const end = process.cpuUsage().user + 2e5; process.cpuUsage().user < end; );'

test('memory is that of the whole family', { skip }, async () => {
  const pid = await startFamily('console.log("ready"); setInterval(() => {}, 1_000)')
  const memory = usageOf(pid, systemClock)()?.['mem_usage'] ?? 0
  assert.ok(memory > 20 * 1024 ** 2, `${memory}: the shell alone takes a tenth of it`)
})

test('the CPU time of a child that has ended and was waited for still counts', { skip }, async () => {
  const pid = await startFamily(`${BURN} console.log("burnt")`)
  const read = usageOf(pid, systemClock)
  await until('the child to end', () => (read()?.['mem_usage'] ?? 0) < 20 * 1024 ** 2)
  // Between its end and the moment at which it is waited for, a reading may meet it in neither place.
  await until('its time to be counted', () => (read()?.['cpu_user'] ?? 0) >= 0.2e9)
})

test('the first sample knows no share of the CPU, the next that of the time between', { skip }, async () => {
  const clock = virtualClock()
  const pid = await startFamily('setTimeout(() => {}, 1e6); process.stdin; console.log("ready")')
  const read = usageOf(pid, clock)
  const first = read()
  assert.equal(first?.['cpu_total'], 0)
  clock.advance(1_000)
  const second = read()
  const nanos = (stat: Stat['metrics'] | undefined) => (stat?.['cpu_user'] ?? 0) + (stat?.['cpu_kernel'] ?? 0)
  assert.equal(second?.['cpu_total'], ((nanos(second) - nanos(first)) / 1e9) * 100)
})

test('what is not there has no usage', () => {
  assert.equal(usageOf(undefined, systemClock)(), undefined)
})
