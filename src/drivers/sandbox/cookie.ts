import type { Clock } from '../../core/clock.ts'
import type { Cgroup, CgroupTree } from '../cgroup/cgroup.ts'
import { type ContainerSpec, DriverError } from '../driver.ts'
import { awaitSocketInside, openIo } from '../io.ts'
import type { Made, Running } from '../lifecycle.ts'
import { type Box, type BoxOptions, startBox } from './box.ts'
import { makeFolder } from './folder.ts'
import type { LaunchOptions } from './launch.ts'
import { furnish, type Surroundings } from './prepare.ts'
import type { Users } from './users.ts'

/** What all containers of a driver share. */
export interface Machine
  extends Pick<LaunchOptions, 'bwrap' | 'prefix' | 'filter' | 'masks' | 'inherited'>,
    Pick<Surroundings, 'runtime' | 'images' | 'reads'> {
  /** The folder of all containers. */
  readonly root: string
  readonly tree: CgroupTree | undefined
  readonly users: Users | undefined
  /** `undefined` where a container can have no network of its own. */
  readonly connect: BoxOptions['connect']
  readonly clock: Clock
}

const PIDS = 256

/** Makes everything of a container but its processes. */
export async function makeSandbox(spec: ContainerSpec, machine: Machine, signal: AbortSignal): Promise<Made> {
  const { root, tree, users } = machine
  await using undo = new AsyncDisposableStack()
  const user = users?.take()
  if (user) undo.defer(() => users?.give(user))
  const folder = undo.use(await makeFolder(root, user))
  const { room, argv } = await furnish(spec, { ...machine, folder, user, signal })
  // Bubblewrap is in the group itself, twice, and so is what carries its packets.
  const connect = spec.network === 'outbound' ? machine.connect : undefined
  const besides = connect ? 3 : 2
  const { memory, cpus, cpuShares, pids } = spec
  const group = await tree?.make(spec.id, { memory, cpus, cpuShares, pids: (pids || PIDS) + besides })
  if (group) undo.use(group)
  signal.throwIfAborted()
  const made = undo.move()
  const freezer = tree?.pause ? group : undefined
  const { mode, logLimit } = spec
  return {
    async start(_signal, cleanUp) {
      const around = { connect, room, argv, mode, user, logLimit, group, folder: folder.path, cleanUp }
      return runningOf(await startBox({ ...machine, ...around }), freezer)
    },
    remove: () => made.disposeAsync(),
  }
}

/** `freezer`: the container's group, where groups can be paused. */
function runningOf(box: Box, freezer: Cgroup | undefined): Running {
  const { measurements } = box
  const pausing = (): Cgroup => {
    if (freezer) return freezer
    throw new DriverError(
      'unsupported',
      'the sandbox driver cannot pause here: no control group can be frozen',
    )
  }
  return {
    ...box,
    findSocket: (waiting) => awaitSocketInside(() => openIo(box.pid), waiting),
    async pause(signal) {
      signal.throwIfAborted()
      await pausing().freeze()
    },
    async resume(signal) {
      signal.throwIfAborted()
      await pausing().thaw()
    },
    stats: (signal) => measurements.stream(signal),
    measured: () => measurements.kept(),
  }
}
