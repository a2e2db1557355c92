import { LRUCache } from 'lru-cache'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ErrorCode } from '../core/errors.ts'
import type { Wait } from '../core/headers.ts'
import type { Definition } from '../runner/definition.ts'
import type { Runner } from '../runner/runner.ts'
import type { StartRecord } from '../runner/start-log.ts'
import type { CallObserver, CallRecord, CallWatch } from './call-record.ts'
import { sizeOfKey } from './versioned-cache.ts'

/** Bytes of the functions that are counted apart, about 20,000; beyond them the one called longest ago is forgotten. */
const MAX_BYTES = 16 * 1024 * 1024

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/** What became of the calls of one function since the node began. */
interface Tally {
  readonly labels: { readonly app: string; readonly fn: string }
  completed: number
  errors: number
  timeouts: number
  busy: number
}

/** Counts what a node does, and tells it in Prometheus' text format, under the stems that users of Fn know. */
export class Metrics implements CallObserver {
  readonly contentType: string = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #registry = new Registry()
  readonly #runner: Runner
  readonly #tallies = new LRUCache<string, Tally>({
    maxSize: MAX_BYTES,
    sizeCalculation: ({ labels: { app, fn } }, key) => sizeOfKey(key) + sizeOfKey(app) + sizeOfKey(fn),
  })
  readonly #clocks: Readonly<Record<keyof Wait, Histogram>>
  readonly #run: Histogram
  readonly #phases: Histogram<'phase'>
  readonly #starts: Counter<'reason' | 'outcome'>
  readonly #watch: CallWatch = { end: (record) => this.#end(record) }

  constructor(runner: Runner) {
    this.#runner = runner
    const registers = [this.#registry]
    const histogram = (name: string, help: string) =>
      new Histogram({ name, help, buckets: SECONDS, registers })
    this.#clocks = {
      queue: histogram('sluice_wait_queue_seconds', 'Time that calls waited for a free slot'),
      start: histogram(
        'sluice_wait_start_seconds',
        'Time that calls waited for a container to start or wake',
      ),
      fetch: histogram('sluice_wait_fetch_seconds', 'Time that calls waited for an image or bundle'),
    }
    this.#run = histogram('sluice_run_seconds', 'Time from dispatch to the last byte of the answer')
    this.#phases = new Histogram({
      name: 'sluice_start_seconds',
      help: 'Time of the phases of container starts',
      labelNames: ['phase'],
      buckets: SECONDS,
      registers,
    })
    this.#starts = new Counter({
      name: 'sluice_starts_total',
      help: 'Container starts by why they were needed and how they went',
      labelNames: ['reason', 'outcome'],
      registers,
    })
    this.#countCalls(registers)
    this.#countContainers(registers)
    this.#countResources(registers)
  }

  begin(): CallWatch {
    return this.#watch
  }

  #end({ resolved, slot, wait, run = 0, error }: CallRecord): void {
    if (!resolved) return
    const tally = this.#tally(resolved.definition)
    if (!slot) {
      if (error) countRefused(tally, error.code)
      return
    }
    this.#run.observe(run / 1_000)
    // Zeros too: the means of the three count the same calls, and add up.
    for (const clock of CLOCKS) this.#clocks[clock].observe(wait[clock] / 1_000)
    if (error === undefined) tally.completed++
    else if (error.code === 'timed-out') tally.timeouts++
    else tally.errors++
  }

  started({ reason, fetch, create, ready, error }: StartRecord): void {
    this.#starts.inc({ reason, outcome: error ?? 'ready' })
    for (const [phase, ms] of Object.entries({ fetch, create, ready }))
      if (ms !== undefined) this.#phases.observe({ phase }, ms / 1_000)
  }

  /** Everything, as text. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #tally({ key, app, fn }: Definition): Tally {
    const known = this.#tallies.get(key)
    if (known) return known
    const tally = { labels: { app: app.name, fn: fn.name }, completed: 0, errors: 0, timeouts: 0, busy: 0 }
    this.#tallies.set(key, tally)
    return tally
  }

  #countCalls(registers: Registry[]): void {
    const counter = (name: string, help: string, field: 'completed' | 'errors' | 'timeouts' | 'busy') => {
      const tallies = this.#tallies
      return new Counter({
        name,
        help,
        labelNames: ['app', 'fn'],
        registers,
        collect() {
          this.reset()
          for (const tally of tallies.values()) this.inc(tally.labels, tally[field])
        },
      })
    }
    counter('fn_completed_total', 'Calls that were answered by their function', 'completed')
    counter('fn_errors_total', 'Calls that failed', 'errors')
    counter('fn_timeouts_total', 'Calls that ran out of time', 'timeouts')
    counter('fn_server_busy_total', 'Calls that got no slot here', 'busy')
    const gauge = (name: string, help: string, field: 'waiting' | 'running') => {
      const runner = this.#runner
      return new Gauge({
        name,
        help,
        labelNames: ['app', 'fn'],
        registers,
        collect() {
          this.reset()
          for (const pool of runner.pools())
            this.set({ app: pool.definition.app.name, fn: pool.definition.fn.name }, pool[field])
        },
      })
    }
    gauge('fn_queued', 'Calls that wait for a slot', 'waiting')
    gauge('fn_running', 'Calls that run', 'running')
  }

  #countContainers(registers: Registry[]): void {
    const runner = this.#runner
    new Gauge({
      name: 'sluice_containers',
      help: 'Containers by state',
      labelNames: ['state'],
      registers,
      collect() {
        let [idle, live] = [0, 0]
        for (const pool of runner.pools()) {
          idle += pool.idle
          live += pool.live
        }
        this.set({ state: 'idle' }, idle)
        this.set({ state: 'busy' }, live - idle)
        this.set({ state: 'starting' }, runner.load.starting)
      },
    })
    new Counter({
      name: 'fn_container_evictions_total',
      help: 'Idle containers that made room for another function',
      registers,
      collect() {
        this.reset()
        this.inc(runner.load.evictions)
      },
    })
  }

  #countResources(registers: Registry[]): void {
    const runner = this.#runner
    const resource = (name: string, help: string, field: 'memory' | 'mcpus', unit: number) =>
      new Gauge({
        name,
        help,
        labelNames: ['of'],
        registers,
        collect() {
          this.set({ of: 'used' }, runner.resources.used[field] / unit)
          this.set({ of: 'total' }, runner.resources.total[field] / unit)
        },
      })
    resource('sluice_memory_bytes', 'Memory promised to containers', 'memory', 1)
    resource('sluice_cpus', 'CPUs promised to containers', 'mcpus', 1_000)
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Resident memory of the process',
      registers,
      collect() {
        this.set(process.memoryUsage.rss())
      },
    })
    new Counter({
      name: 'process_cpu_seconds_total',
      help: 'CPU time of the process',
      registers,
      collect() {
        const { user, system } = process.cpuUsage()
        this.reset()
        this.inc((user + system) / 1e6)
      },
    })
  }
}

const CLOCKS = ['queue', 'start', 'fetch'] as const

/** A call got no slot. */
function countRefused(tally: Tally, error: ErrorCode): void {
  if (error === 'busy' || error === 'refused' || error === 'draining') tally.busy++
  else if (error === 'timed-out' || error === 'deadline-passed' || error === 'init-timeout') tally.timeouts++
  else if (error !== 'client-gone') tally.errors++
}
