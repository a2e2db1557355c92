// A production node on the mock driver with many functions. Arguments: how many; `soak` for ones that soon idle out
// and answer as the body says, `full` for a node with room for 101 containers, the first function's kept warm, or the
// socket of a function outside of this process that stands for all containers. Told anything, it collects its garbage
// and tells what it holds.
import { readdirSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { idMaker } from '../../src/core/ids.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { systemRandom } from '../../src/core/random.ts'
import { mockDriver } from '../../src/drivers/mock/mock.ts'
import { BundleCache } from '../../src/node/bundles.ts'
import { startNode } from '../../src/node/node.ts'
import { sqliteStore } from '../../src/store/sqlite/sqlite.ts'
import { makeApp, makeFn } from '../../test/support/definitions.ts'
import { fixedDriver } from '../../test/support/fixed-driver.ts'
import { collectGarbage } from '../../test/support/garbage.ts'

const count = Number(process.argv[2])
const isSoak = process.argv[3] === 'soak'
const isFull = process.argv[3] === 'full'
const socket = isSoak || isFull ? undefined : process.argv[3]
const MIB = 1024 ** 2
/** Timers that are armed now. */
let timers = 0
const clock: Clock = {
  ...systemClock,
  after(ms, fire) {
    let armed = true
    const over = () => {
      if (armed) timers--
      armed = false
    }
    timers++
    const timer = systemClock.after(ms, () => {
      over()
      fire()
    })
    return {
      [Symbol.dispose]() {
        over()
        timer[Symbol.dispose]()
      },
    }
  },
}

const ANSWERS: Readonly<Record<string, number>> = { fail: 502, garbage: 418 }
const dir = await mkdtemp(join(tmpdir(), 'slmany-'))
process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
process.once('SIGTERM', () => process.exit(0))

const store = await sqliteStore({ file: join(dir, 'bench.db') })
await store.apps.insert(makeApp())
const ids = Array.from({ length: count }, (_, i) => `FN${String(i).padStart(6, '0')}`)
for (const [i, id] of ids.entries())
  await store.fns.insert(
    makeFn({
      id,
      name: id.toLowerCase(),
      memory: 16,
      idle_timeout: isSoak ? 1 : 600,
      timeout: isSoak ? 1 : 300,
      ...(isFull && { max_wait: 300, min_warm: i === 0 ? 1 : 0 }),
    }),
  )
const node = await startNode({
  listen: { host: '127.0.0.1', port: 0 },
  store,
  driver: socket
    ? fixedDriver(socket)
    : mockDriver({
        clock,
        random: systemRandom,
        callMs: ({ body }) => (String(body) !== 'slow' ? 0 : isFull ? 290_000 : 1_500),
        answer: ({ body }) => ({ status: ANSWERS[String(body)] ?? 200, body }),
      }),
  bundles: new BundleCache({
    dir: join(dir, 'bundles'),
    store: store.bundles,
    wall: () => systemClock.wall(),
  }),
  clock,
  log: silentLogger,
  makeId: idMaker(systemClock, systemRandom),
  memory: isFull ? 101 * 16 * MIB : 64 * 1024 * MIB,
  cpus: 64,
  pause: 'never',
  token: undefined,
  publicUrl: undefined,
  maxRequestSize: 0,
  maxResponseSize: 0,
  version: 'bench',
})
process.on('message', () => {
  for (let i = 0; i < 3; i++) collectGarbage()
  const { heapUsed, rss } = process.memoryUsage()
  process.send?.({ heap: heapUsed, rss, descriptors: readdirSync('/proc/self/fd').length, timers })
})
process.send?.({ url: node.url, paths: ids.map((id) => `/invoke/${id}`) })
