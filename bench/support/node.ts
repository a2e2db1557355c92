// A production node whose only container is the given socket. Arguments: the socket's path, a folder for state.
import { join } from 'node:path'
import { systemClock } from '../../src/core/clock.ts'
import { idMaker } from '../../src/core/ids.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { systemRandom } from '../../src/core/random.ts'
import { BundleCache } from '../../src/node/bundles.ts'
import { startNode } from '../../src/node/node.ts'
import { sqliteStore } from '../../src/store/sqlite/sqlite.ts'
import { makeApp, makeFn } from '../../test/support/definitions.ts'
import { fixedDriver } from '../../test/support/fixed-driver.ts'

const [, , socket, dir] = process.argv as [string, string, string, string]

const store = await sqliteStore({ file: join(dir, 'bench.db') })
await store.apps.insert(makeApp())
await store.fns.insert(makeFn())
const node = await startNode({
  listen: { host: '127.0.0.1', port: 0 },
  store,
  driver: fixedDriver(socket),
  bundles: new BundleCache({
    dir: join(dir, 'bundles'),
    store: store.bundles,
    wall: () => systemClock.wall(),
  }),
  clock: systemClock,
  log: silentLogger,
  makeId: idMaker(systemClock, systemRandom),
  memory: 4 * 1024 ** 3,
  cpus: 4,
  token: undefined,
  publicUrl: undefined,
  maxRequestSize: 0,
  maxResponseSize: 0,
  version: 'bench',
})
process.send?.({ url: node.url, path: `/invoke/${makeFn().id}` })
