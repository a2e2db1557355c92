import { setTimeout as delay } from 'node:timers/promises'
import type { PauseRule } from '../src/runner/policy/rest.ts'
import { makeDefinition } from '../test/support/definitions.ts'
import { callOnce, openRunner } from './support/calls.ts'
import { engineHost, openDocker, openFolder } from './support/drivers.ts'
import { makePrograms } from './support/programs.ts'
import { type Benchmark, quantile, type Row } from './support/table.ts'

const CALLS = 60
const EVERY = 250

/** The same function in three containers of one engine, called in turn, each every 250 ms. */
export const sparseCalls: Benchmark = {
  question:
    'What does pausing idle containers cost a function that is called every 250 ms? (Docker, the same FDK function)',
  async run(): Promise<Row[]> {
    const host = engineHost()
    if (host === undefined)
      throw new Error('no engine: run it by `sh scripts/with-engines.sh`, or set DOCKER_HOST')
    await using folder = await openFolder()
    await using stack = new AsyncDisposableStack()
    const driver = stack.use(await openDocker(host, folder.path, 0))
    const source = { kind: 'bundle', dir: makePrograms(folder.path).fdk.dir } as const
    const open = (pause: PauseRule) => {
      const runner = stack.use(openRunner(driver, source, { pause }))
      return {
        runner,
        definition: makeDefinition({ id: `fn-${pause}`, idle_timeout: 300 }),
        times: [] as number[],
      }
    }
    const [never, adaptive, today] = [open('never'), open('adaptive'), open(50)]
    for (let i = 0; i < CALLS + 5; i++) {
      for (const { runner, definition, times } of [never, adaptive, today]) {
        const ms = await callOnce(runner, definition)
        if (i >= 5) times.push(ms)
        await delay(EVERY / 3)
      }
    }
    const p50 = ({ times }: { times: number[] }) => quantile(times, 0.5)
    const row = (what: string, measured: number): Row => ({
      what,
      baseline: `${p50(never).toFixed(1)} ms`,
      measured: `${measured.toFixed(1)} ms`,
      ratio: measured / p50(never),
    })
    return [
      { ...row('p50, pausing by the rule ÷ never pausing', p50(adaptive)), atMost: 1.2 },
      row('p50, pausing after 50 ms (today’s Fn) ÷ never pausing', p50(today)),
    ]
  },
}
