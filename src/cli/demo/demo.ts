import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { type Sluice, startSluice } from '../../compose.ts'
import { messageOf, SluiceError } from '../../core/errors.ts'
import { systemRandom } from '../../core/random.ts'
import type { DriverChoice } from '../../core/words.ts'
import { readEnvironment } from '../../host/config.ts'
import { Client } from '../client.ts'
import { deployFolder, openFolder } from '../deploy/deploy.ts'
import type { Io } from '../io.ts'
import { openLogFile } from '../log.ts'
import { Contention } from './contention.ts'
import { Figures } from './figures.ts'
import { checkPromises, type PhaseReport } from './promises.ts'
import type { Screen } from './screen.ts'
import { percentile, type Seen, Traffic } from './traffic.ts'

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))
const ANY_PORT = { host: '127.0.0.1', port: 0 }
const APP = 'demo'
/** The example whose home node is made busy; its func.yaml lets four calls run at once on a node. */
const WORK = 'work'
const WARM_UP = 30
/** Calls of each example after its first. */
const HOT_CALLS = 10
/** How long one call of the busy phase takes, and how far the load goes beyond what its home node can serve. */
const BUSY_MS = 100
const OVERLOAD = 1.5
const BUSY_SECONDS = 12

/** What `sluice demo --json` prints last. */
export interface DemoReport {
  readonly ok: boolean
  readonly driver: string
  /** How many times its CPU time a piece of work took, at worst: much more than 1 on a busy machine. */
  readonly contention: number
  /** What was promised, did not come true, and cannot be judged on a busy machine. */
  readonly unjudged: readonly string[]
  readonly functions: readonly FunctionReport[]
  readonly calm: PhaseReport
  readonly busy: PhaseReport & { readonly wait_ms: { readonly p50: number; readonly p99: number } }
  readonly back: PhaseReport
  readonly after: PhaseReport
}

interface FunctionReport {
  readonly name: string
  readonly answer: string
  readonly cold_ms: number
  readonly hot_p50_ms: number
}

/**
 * Runs the whole of Sluice in a temporary folder and checks what it promises.
 * @throws SluiceError `unmet` naming the promise and the folder, which is kept then
 */
export async function runDemo(io: Io, driver: DriverChoice, screen: Screen): Promise<DemoReport> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-demo-'))
  await chmod(dir, 0o711) // containers may have users of their own, who must pass through
  try {
    const report = await tell(io, driver, screen, dir)
    await rm(dir, { recursive: true, force: true })
    return report
  } catch (error) {
    if (io.signal.aborted) await rm(dir, { recursive: true, force: true })
    else screen.say(`kept for a look: ${dir} (demo.log)`)
    throw error
  }
}

async function tell(io: Io, driver: DriverChoice, screen: Screen, dir: string): Promise<DemoReport> {
  const environment = readEnvironment(io.env)
  const world = {
    clock: io.clock,
    random: systemRandom,
    log: openLogFile(join(dir, 'demo.log')),
    environment,
  }
  await using sluice = await startSluice(
    {
      listen: ANY_PORT,
      admin: ANY_PORT,
      dataDir: join(dir, 'state'),
      driver,
      localNodes: 3,
      strategy: 'fnlb',
      grace: 1_000,
    },
    world,
  )
  const { name, capabilities } = sluice.driver
  screen.title(`1 balancer, 3 nodes, driver ${name} (isolation: ${capabilities.isolation})`)
  for (const warning of capabilities.warnings) screen.say(`  ${warning}`)

  const stage = new Stage(io, screen, sluice, environment.token)
  await using _client = stage.client
  screen.title('Deploy and call the examples')
  const functions: FunctionReport[] = []
  for (const folder of await listExamples()) functions.push(await stage.tryExample(folder))

  const contention = new Contention(io.clock)
  const perNode = (4 * 1_000) / BUSY_MS
  const rate = OVERLOAD * perNode
  contention.look()
  screen.title(`Calm: ${WORK} called 200 times, one call after the other`)
  const calm = await stage.phase((traffic, count) => traffic.inTurn(count, '{"ms":1}'), 200)
  contention.look()
  screen.title(`Busy: ${rate} calls a second of ${BUSY_MS} ms each; one node can serve ${perNode}`)
  const busy = await stage.phase(
    (traffic, count) => traffic.atRate(count, rate, `{"ms":${BUSY_MS}}`),
    rate * BUSY_SECONDS,
  )
  contention.look()
  // A moving average forgets a wait by what it hears afterwards: the first of these calls bring the others back.
  screen.title(`Back: ${WORK} called 200 times again, one call after the other`)
  const back = await stage.phase((traffic, count) => traffic.inTurn(count, '{"ms":1}'), 200)
  screen.title('After: and 200 times more')
  const after = await stage.phase((traffic, count) => traffic.inTurn(count, '{"ms":1}'), 200)

  contention.look()
  const waits = busy.seen.map(({ wait }) => wait)
  const phases = { calm: calm.report, busy: busy.report, back: back.report, after: after.report }
  return {
    ok: true,
    driver: name,
    contention: contention.factor,
    unjudged: checkPromises(phases, contention.isBusy),
    functions,
    calm: calm.report,
    busy: {
      ...busy.report,
      wait_ms: { p50: round(percentile(waits, 0.5)), p99: round(percentile(waits, 0.99)) },
    },
    back: back.report,
    after: after.report,
  }
}

/** Those that are functions (one shows the library) and run on nothing but what Sluice brings along. */
async function listExamples(): Promise<string[]> {
  const folders = await readdir(EXAMPLES)
  const has = (folder: string, file: string) => existsSync(join(EXAMPLES, folder, file))
  return folders.filter((folder) => has(folder, 'func.yaml') && !has(folder, 'func.py'))
}

/** What the demo plays on: the server, its clients and where the story is told. */
class Stage {
  readonly client: Client
  readonly #io: Io
  readonly #screen: Screen
  readonly #figures: Figures
  readonly #urls = new Map<string, string>()

  constructor(io: Io, screen: Screen, sluice: Sluice, token: string | undefined) {
    this.#io = io
    this.#screen = screen
    this.#figures = new Figures(sluice, token)
    this.client = new Client({ url: sluice.balancer.url, token, clock: io.clock, signal: io.signal })
  }

  /** Deploys an example as a user would, calls it cold and hot, and says what it answered. */
  async tryExample(folder: string): Promise<FunctionReport> {
    const url = await this.#deploy(folder)
    const traffic = this.#traffic(url)
    const body = folder === WORK ? '{"ms":1}' : '{"name":"Sluice"}'
    const cold = await traffic.call(body)
    const hot = await traffic.inTurn(HOT_CALLS, body)
    const failed = [cold, ...hot].find(({ failure }) => failure !== undefined)
    if (failed) throw new SluiceError('unmet', `the example ${folder} failed`, { detail: failed.failure })
    this.#urls.set(folder, url)
    const report = {
      name: folder,
      answer: cold.body,
      cold_ms: round(cold.total),
      hot_p50_ms: round(
        percentile(
          hot.map(({ total }) => total),
          0.5,
        ),
      ),
    }
    const times = `cold ${report.cold_ms.toFixed(0)} ms, hot p50 ${report.hot_p50_ms.toFixed(2)} ms`
    this.#screen.say(`  ${folder.padEnd(10)} ${times.padEnd(34)} ${oneLine(cold.body)}`)
    return report
  }

  /** Warm-up calls that do not count, then `count` that do. */
  async phase(
    drive: (traffic: Traffic, count: number) => Promise<Seen[]>,
    count: number,
  ): Promise<{ report: PhaseReport; seen: Seen[] }> {
    const traffic = this.#traffic(this.#urls.get(WORK) as string)
    await drive(traffic, WARM_UP)
    await this.#figures.reset()
    const seen = await this.#screen.during(drive(traffic, count), this.#io.clock, () => this.#figures.read())
    const nodes = await this.#figures.calls()
    const failures = seen.filter(({ failure }) => failure !== undefined)
    const report = { calls: seen.length, failed: failures.length, nodes }
    const shares = Object.entries(nodes).map(([node, calls]) => `${node} ${share(calls, seen.length)}`)
    this.#screen.say(`  ${seen.length} calls, ${failures.length} failed: ${shares.join(', ')}`)
    if (failures[0]) this.#screen.say(`  the first failure: ${failures[0].failure}`)
    return { report, seen }
  }

  async #deploy(folder: string): Promise<string> {
    const words = new PassThrough()
    const io: Io = {
      ...this.#io,
      ...{ stdout: words, stderr: words, isTTY: { stdin: false, stdout: false, stderr: false } },
    }
    const options = { app: APP, createApp: true, check: true }
    try {
      const example = await openFolder(io, join(EXAMPLES, folder), options)
      const { put } = await deployFolder(io, this.client, example, options)
      return this.client.invokeUrl(put.fn)
    } catch (error) {
      this.#io.signal.throwIfAborted()
      throw new SluiceError('unmet', `the example ${folder} could not be deployed`, {
        cause: error,
        detail: [messageOf(error), String(words.read() ?? '')].join('; '),
      })
    }
  }

  #traffic(url: string): Traffic {
    return new Traffic(this.client, this.#io.clock, url, this.#io.signal)
  }
}

const round = (ms: number) => Math.round(ms * 100) / 100
const oneLine = (text: string) => text.replaceAll('\n', ' ').slice(0, 30)
const share = (part: number, whole: number) => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`
