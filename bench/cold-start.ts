import { setTimeout as sleep } from 'node:timers/promises'
import type { Driver } from '../src/drivers/driver.ts'
import { buildRuntime } from '../src/drivers/runtime/runtime.ts'
import { bareEngine } from './support/bare-engine.ts'
import { engineHost, FDK, openDocker, openFolder, openForBench } from './support/drivers.ts'
import { makePrograms, type Program, type Programs } from './support/programs.ts'
import { callSocket } from './support/socket.ts'
import { type Started, startContainer, startDriven, startPlain } from './support/starts.ts'
import { type Benchmark, quantile, type Row } from './support/table.ts'

const RUNS = 11
/** Milliseconds in which an engine tidies up and the next network namespace is made, so that nobody else pays for it. */
const REST = 1_500

interface Contender {
  readonly name: string
  readonly start: (program: Program) => Promise<Started>
  /** What it leaves to be done afterwards. */
  readonly rest: number
}

type Times = Map<string, number[]>

/** Every contender in turn, again and again; the first round does not count. */
async function race(program: Program, contenders: readonly Contender[]): Promise<Times> {
  const times: Times = new Map(contenders.map(({ name }) => [name, []]))
  for (let run = 0; run <= RUNS; run++)
    for (const { name, start, rest } of contenders) {
      const started = await start(program)
      await started[Symbol.asyncDispose]()
      await sleep(rest)
      if (run > 0) times.get(name)?.push(started.took)
    }
  return times
}

const median = (times: Times, name: string) => quantile(times.get(name) as number[], 0.5)

function compare(program: Program, times: Times, name: string, base: string, atMost?: number): Row {
  const [measured, baseline] = [median(times, name), median(times, base)]
  return {
    what: `${program.name}: ${name} ÷ ${base}`,
    baseline: `${baseline.toFixed(0)} ms`,
    measured: `${measured.toFixed(0)} ms`,
    ratio: measured / baseline,
    ...(atMost !== undefined && { atMost }),
  }
}

export const coldStart: Benchmark = {
  question: `What does a cold start cost, from nothing to the first answer? (medians of ${RUNS}, interleaved)`,
  async run(): Promise<Row[]> {
    await using folder = await openFolder()
    const programs = makePrograms(folder.path)
    await using byProcess = await openForBench('process', folder.path)
    await using sandbox = await openForBench('sandbox', folder.path)
    const contenders: Contender[] = [
      { name: 'plain spawn', start: startPlain, rest: 0 },
      { name: 'process', start: (program) => startDriven(byProcess, program), rest: 0 },
      { name: 'sandbox', start: (program) => startDriven(sandbox, program), rest: 50 },
    ]
    const { fdk, typescript, handler, c } = programs
    const rows: Row[] = []
    for (const program of [fdk, typescript, handler, c]) {
      const times = await race(program, contenders)
      rows.push(compare(program, times, 'process', 'plain spawn', program === c ? undefined : 1.3))
      rows.push(
        compare(
          program,
          times,
          'sandbox',
          'plain spawn',
          program === c || program === typescript ? undefined : 1.15,
        ),
      )
    }
    rows.push(...(await compareTypes(programs, { process: byProcess, sandbox })))
    const host = engineHost()
    if (host !== undefined) rows.push(...(await onDocker(host, folder.path, { fdk, c })))
    return rows
  },
}

/** What the types of a handler cost. */
async function compareTypes(
  { typescript, untyped }: Programs,
  drivers: Readonly<Record<string, Driver>>,
): Promise<Row[]> {
  const rows: Row[] = []
  for (const [name, driver] of Object.entries(drivers)) {
    const times = await race(typescript, [
      { name: 'JavaScript', start: () => startDriven(driver, untyped), rest: 50 },
      { name: 'TypeScript', start: () => startDriven(driver, typescript), rest: 50 },
    ])
    rows.push(compare({ ...typescript, name: `handler, ${name}` }, times, 'TypeScript', 'JavaScript', 1.2))
  }
  return rows
}

async function onDocker(host: string, dir: string, { fdk, c }: Record<'fdk' | 'c', Program>): Promise<Row[]> {
  await using plain = await openDocker(host, dir, 0)
  await using ahead = await openDocker(host, dir, 2)
  const { version } = await buildRuntime({ dir: `${dir}/runtime`, fdk: FDK })
  const contenders: Contender[] = [
    {
      name: 'engine calls',
      start: bareEngine(host.replace('unix://', ''), `sluice-runtime:${version}`),
      rest: REST,
    },
    { name: 'docker, own namespace', start: (program) => startDriven(plain, program), rest: REST },
    { name: 'docker', start: (program) => startDriven(ahead, program), rest: REST },
  ]
  const rows: Row[] = []
  for (const program of [fdk, c]) {
    const times = await race(program, contenders)
    rows.push(
      compare(program, times, 'docker, own namespace', 'engine calls', program === fdk ? 1.1 : undefined),
    )
    rows.push(compare(program, times, 'docker', 'engine calls', program === fdk ? 0.7 : 0.55))
    if (program === fdk) {
      const { cookie, container } = await startContainer(ahead, program)
      const began = performance.now()
      await callSocket(container.socket as string)
      times.set('first call on a container started ahead', [performance.now() - began])
      await cookie[Symbol.asyncDispose]()
      rows.push(compare(program, times, 'first call on a container started ahead', 'docker', 0.1))
    }
  }
  return rows
}
