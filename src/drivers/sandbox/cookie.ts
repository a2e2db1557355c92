import type { Clock } from '../../core/clock.ts'
import type { Cgroup, CgroupTree } from '../cgroup/cgroup.ts'
import { type Container, type ContainerSpec, type Cookie, DriverError } from '../driver.ts'
import { awaitSocketInside, openIo } from '../io.ts'
import type { PinnedSocket } from '../socket.ts'
import { limitTime } from '../time-limit.ts'
import { type Box, startBox } from './box.ts'
import { makeFolder } from './folder.ts'
import type { LaunchOptions } from './launch.ts'
import { furnish, type Surroundings } from './prepare.ts'
import type { Users } from './users.ts'

/** What all containers of a driver share. */
export interface Machine
  extends Pick<LaunchOptions, 'bwrap' | 'filter' | 'masks' | 'inherited'>,
    Pick<Surroundings, 'runtime' | 'images' | 'reads'> {
  /** The folder of all containers. */
  readonly root: string
  readonly tree: CgroupTree | undefined
  readonly users: Users | undefined
  readonly clock: Clock
}

const PIDS = 256

/** Makes everything of a container but its processes; `disposed` is called when nothing of it is left. */
export async function prepareCookie(
  spec: ContainerSpec,
  machine: Machine,
  signal: AbortSignal,
  disposed: () => void,
): Promise<Cookie> {
  const { root, tree, users } = machine
  await using undo = new AsyncDisposableStack()
  const user = users?.take()
  if (user) undo.defer(() => users?.give(user))
  const folder = undo.use(await makeFolder(root, user))
  const { room, argv } = await furnish(spec, { ...machine, folder, user, signal })
  // Bubblewrap is in the group itself, and is one process more.
  const { memory, cpus, cpuShares, pids } = spec
  const group = await tree?.make(spec.id, { memory, cpus, cpuShares, pids: (pids || PIDS) + 1 })
  if (group) undo.use(group)
  signal.throwIfAborted()
  const made = undo.move()
  // What cannot be removed now, the next start of the driver removes.
  const cleanUp = () => made.disposeAsync().catch(() => {})
  const freezer = tree?.pause ? group : undefined
  const { mode, logLimit } = spec
  const start = () =>
    startBox({ ...machine, room, argv, mode, user, logLimit, group, folder: folder.path, cleanUp })
  return makeCookie(spec, { start, freezer, clock: machine.clock, cleanUp }, disposed)
}

interface Prepared {
  readonly start: () => Promise<Box>
  /** The container's group, where groups can be paused. */
  readonly freezer: Cgroup | undefined
  readonly clock: Clock
  readonly cleanUp: () => Promise<void>
}

function makeCookie(spec: ContainerSpec, prepared: Prepared, disposed: () => void): Cookie {
  let running: Promise<Container> | undefined
  const closing = new AbortController()

  return {
    async run(signal) {
      signal.throwIfAborted()
      if (running || closing.signal.aborted)
        throw new DriverError('closed', `container ${spec.id} was started already, or is closed`)
      running = run(spec, prepared, AbortSignal.any([signal, closing.signal]))
      return running
    },

    async [Symbol.asyncDispose]() {
      closing.abort(new DriverError('closed', `container ${spec.id} was closed while it started`))
      const container = await running?.catch(() => undefined)
      if (container) await container[Symbol.asyncDispose]()
      else await prepared.cleanUp()
      disposed()
    },
  }
}

async function run(spec: ContainerSpec, prepared: Prepared, signal: AbortSignal): Promise<Container> {
  const box = await prepared.start()
  try {
    if (signal.aborted) {
      await box.stop('cancelled')
      signal.throwIfAborted()
    }
    const socket = spec.mode === 'hot' ? await findSocket(box, spec, prepared.clock, signal) : undefined
    return makeContainer(spec, box, socket, prepared)
  } catch (error) {
    box.output.cut()
    throw error
  }
}

/** @throws StartError */
function findSocket(box: Box, spec: ContainerSpec, clock: Clock, signal: AbortSignal): Promise<PinnedSocket> {
  const container = { ended: box.ended, stop: box.stop, output: box.output.tail }
  return awaitSocketInside(() => openIo(box.pid), { timeoutMs: spec.startTimeout, clock, signal, container })
}

function makeContainer(
  spec: ContainerSpec,
  box: Box,
  socket: PinnedSocket | undefined,
  { freezer, clock }: Prepared,
): Container {
  const { ended, measurements, output, stdin, stop } = box
  output.started()
  limitTime(spec, { ended, stop }, { clock, startedAt: clock.now() })
  const pausing = (): Cgroup => {
    if (freezer) return freezer
    throw new DriverError(
      'unsupported',
      'the sandbox driver cannot pause here: no control group can be frozen',
    )
  }
  return {
    id: spec.id,
    socket: socket?.path,
    stdin,
    stdout: output.stdout,
    stderr: output.stderr,
    ended,
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
    stop,
    async [Symbol.asyncDispose]() {
      await stop('cancelled')
      output.cut()
      socket?.[Symbol.dispose]()
    },
  }
}
