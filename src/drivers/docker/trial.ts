import { statfs } from 'node:fs/promises'
import { messageOf } from '../../core/errors.ts'
import { IO_SIZE } from '../io.ts'
import { startAuxiliary } from './auxiliary.ts'
import type { Engine } from './engine.ts'
import { openIoOf } from './processes.ts'
import { inspectState, removeContainer } from './requests.ts'
import { SOCKET_FOLDER } from './settings.ts'

export interface TrialOptions {
  readonly engine: Engine
  readonly owner: string
  /** With a Node. */
  readonly image: string
  /** Inside. */
  readonly node: string
}

/**
 * Whether sockets in file systems of containers' own can be reached from here, tried with a container: the engine has
 * to count processes as this machine does, this process must be allowed to look into them, and what it finds must have
 * the size that was asked for.
 * @returns why not, or `undefined` when they can
 */
export async function whyNotInside({
  engine,
  image,
  node,
  owner,
}: TrialOptions): Promise<string | undefined> {
  await using undo = new AsyncDisposableStack()
  try {
    const id = await startAuxiliary({
      ...{ engine, image, owner },
      argv: [node, '-e', 'require("node:net").createServer().listen("/tmp/alive")'],
      host: { Tmpfs: { '/tmp': 'rw,size=65536', ...SOCKET_FOLDER } },
    })
    undo.defer(() => removeContainer(engine, id).catch(() => {})) // the next start of the driver removes it
    const { Pid: pid } = await inspectState(engine, id)
    using io = openIoOf(id, pid)
    if (!io) return `process ${pid} is not its container's here`
    const { bsize, blocks } = await statfs(io.path)
    return bsize * blocks === IO_SIZE ? undefined : `${bsize * blocks} bytes instead of ${IO_SIZE}`
  } catch (error) {
    return messageOf(error)
  }
}
