import type { FastifyInstance } from 'fastify'
import { SluiceError } from '../core/errors.ts'
import { MAX_ID } from '../core/routes.ts'
import type { Runner } from '../runner/runner.ts'
import type { Definitions } from './definitions.ts'
import type { LoadReport } from './load-report.ts'

/** Most containers that one order may start ahead. */
const MOST_AHEAD = 1_000

export interface ControlContext {
  readonly runner: Runner
  readonly definitions: Definitions
  readonly load: LoadReport
  /** New calls are refused with `draining` while it is set. */
  readonly state: { draining: boolean }
}

/** `/node/*`: what balancers and operators ask a node and tell it. */
export function serveControl(app: FastifyInstance, context: ControlContext): void {
  const { runner, definitions, load, state } = context

  app.get('/node/load', (request) => {
    const { boot, seq, ...digest } = load.digest(sinceOf(request.query))
    const { calls, starts, starting, evictions, refused } = runner.load
    const { used, total } = runner.resources
    return {
      ...digest,
      boot,
      seq,
      draining: state.draining,
      calls,
      starts,
      starting,
      evictions,
      refused,
      memory: { used: used.memory, total: total.memory },
      cpus: { used: used.mcpus / 1_000, total: total.mcpus / 1_000 },
    }
  })

  app.get('/node/starts', (request) => {
    const { fn } = request.query as { fn?: string }
    return { items: runner.starts(fn) }
  })

  app.put('/node/drain', (request) => {
    const { draining = true } = (request.body ?? {}) as { draining?: unknown }
    if (typeof draining !== 'boolean') throw invalid('draining', 'true or false', draining)
    state.draining = draining
    return { draining, running: runner.load.run, waiting: runner.load.queue }
  })

  app.put('/node/prewarm', async (request, reply) => {
    const { fn, count = 1 } = (request.body ?? {}) as { fn?: unknown; count?: unknown }
    if (typeof fn !== 'string' || fn === '' || fn.length > MAX_ID)
      throw invalid('fn', 'the id of a function', fn)
    if (!Number.isInteger(count) || Number(count) < 1 || Number(count) > MOST_AHEAD)
      throw invalid('count', `a whole number from 1 to ${MOST_AHEAD}`, count)
    if (state.draining) throw new SluiceError('draining')
    const { definition } = await definitions.resolve(`/invoke/${fn}`, { kind: 'fn', fn })
    runner.prewarm(definition, Number(count))
    return reply.code(202).send({ fn, idle: runner.idle(fn), starting: runner.load.starting })
  })
}

function sinceOf(query: unknown): { boot: string; seq: number } | undefined {
  const { boot, since } = query as { boot?: unknown; since?: unknown }
  const seq = Number(since)
  return typeof boot === 'string' && since !== '' && Number.isInteger(seq) && seq > 0
    ? { boot, seq }
    : undefined
}

const invalid = (field: string, rule: string, value: unknown) =>
  new SluiceError('invalid', undefined, {
    detail: `${field} must be ${rule}, got ${String(JSON.stringify(value)).slice(0, 200)}`,
  })
