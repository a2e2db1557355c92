import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cookie, Driver } from '../src/drivers/driver.ts'
import { listProcesses } from '../src/drivers/tree.ts'
import { collectGarbage } from '../test/support/garbage.ts'
import { engineHost, openDocker, openFolder, openForBench } from './support/drivers.ts'
import { makePrograms, type Program } from './support/programs.ts'
import { startContainer } from './support/starts.ts'
import type { Benchmark, Row } from './support/table.ts'

const LIVE = { process: 40, sandbox: 40, docker: 20 }
const ENDED = { process: 200, sandbox: 200, docker: 20 }
/** Started before, so that what the code itself costs once is not shared out among the containers. */
const WARM = 16
const LIMIT_KIB = 100

/** Bytes that this process holds for good: nothing runs between the last collection and the reading. */
async function held(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await sleep(200)
    collectGarbage()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** KiB of this process for each of `count` containers that live at once. */
async function memoryOf(driver: Driver, program: Program, count: number): Promise<number> {
  const cookies: Cookie[] = []
  for (let i = 0; i < WARM; i++) cookies.push((await startContainer(driver, program)).cookie)
  const before = await held()
  for (let i = 0; i < count; i++) cookies.push((await startContainer(driver, program)).cookie)
  const after = await held()
  for (const cookie of cookies) await cookie[Symbol.asyncDispose]()
  return (after - before) / count / 1024
}

/** The parent of the kernel's own threads, which come and go. */
const KERNEL = 2

/** Everything of this machine that a container could leave behind. */
function count(): number {
  const descriptors = readdirSync('/proc/self/fd').length
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n').length
  const processes = (listProcesses() ?? []).filter(({ parent }) => parent !== KERNEL).length
  return descriptors + mounts + processes + groups('/sys/fs/cgroup')
}

function groups(dir: string): number {
  const folders = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return folders.reduce((sum, { name }) => sum + 1 + groups(`${dir}/${name}`), 0)
}

async function startAndEnd(driver: Driver, program: Program, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await (await startContainer(driver, program)).cookie[Symbol.asyncDispose]()
}

export const containerCost: Benchmark = {
  question: 'What does a live container cost its node, and what is left of ended ones?',
  async run(): Promise<Row[]> {
    await using folder = await openFolder()
    const { c } = makePrograms(folder.path)
    const rows: Row[] = []
    const host = engineHost()
    for (const name of [
      'process',
      'sandbox',
      ...(host === undefined ? [] : (['docker'] as const)),
    ] as const) {
      await using driver =
        name === 'docker'
          ? await openDocker(host as string, folder.path, 0)
          : await openForBench(name, folder.path)
      await startAndEnd(driver, c, 3)
      await sleep(3_000) // an engine tidies up for a while
      const before = count()
      const memory = await memoryOf(driver, c, LIVE[name])
      rows.push({
        what: `${name}: memory for each of ${LIVE[name]} live containers ÷ the limit`,
        baseline: `${LIMIT_KIB} KiB`,
        measured: `${memory.toFixed(0)} KiB`,
        ratio: memory / LIMIT_KIB,
        atMost: 1,
      })
      await startAndEnd(driver, c, ENDED[name])
      for (let tries = 0; tries < 100 && count() > before; tries++) await sleep(100)
      const left = count() - before
      rows.push({
        what: `${name}: descriptors, mounts, cgroups and processes after ${ENDED[name]} containers ÷ before`,
        baseline: `${before}`,
        measured: `${before + left}`,
        ratio: (before + left) / before,
        atMost: 1,
      })
    }
    return rows
  },
}
