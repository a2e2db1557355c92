import { Counter, Gauge, Registry } from 'prom-client'
import type { Member, Members } from './members.ts'
import { OUTCOMES, type Plane } from './plane.ts'

/** Tells what a balancer does in Prometheus' text format. Its labels are nodes and fixed words: callers fill none. */
export class Metrics {
  readonly contentType: string = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #registry = new Registry()
  readonly #members: Members

  constructor({ members, outcomes, functions }: Pick<Plane, 'members' | 'outcomes' | 'functions'>) {
    this.#members = members
    const registers = [this.#registry]
    this.#gauge('sluice_lb_node_up', 'Whether the node may be reached', ({ known }) => Number(known.online))
    this.#gauge('sluice_lb_node_draining', 'Whether the node takes no more calls', ({ known }) =>
      Number(known.draining),
    )
    this.#gauge('sluice_lb_node_inflight', 'Requests outstanding', ({ known }) => known.inflight)
    this.#counter('sluice_lb_node_requests_total', 'Requests sent', ({ requests }) => requests)
    this.#counter(
      'sluice_lb_node_failures_total',
      'Checks, connects and requests that failed',
      ({ faults }) => faults,
    )
    new Counter({
      name: 'sluice_lb_calls_total',
      help: 'Calls by what became of them',
      labelNames: ['outcome'],
      registers,
      collect() {
        this.reset()
        for (const outcome of OUTCOMES) this.inc({ outcome }, outcomes[outcome])
      },
    })
    new Gauge({
      name: 'sluice_lb_functions',
      help: 'Functions that calls are placed by',
      registers,
      collect() {
        this.set(functions.size)
      },
    })
  }

  /** Everything, as text. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #gauge(name: string, help: string, read: (member: Member) => number): void {
    const members = this.#members
    new Gauge({
      name,
      help,
      labelNames: ['node'],
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const member of members.all) this.set({ node: member.known.name }, read(member))
      },
    })
  }

  #counter(name: string, help: string, read: (member: Member) => number): void {
    const members = this.#members
    new Counter({
      name,
      help,
      labelNames: ['node'],
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const member of members.all) this.inc({ node: member.known.name }, read(member))
      },
    })
  }
}
