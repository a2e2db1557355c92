import { statfs } from 'node:fs/promises'
import { messageOf } from '../../core/errors.ts'
import { IO_SIZE } from '../io.ts'
import type { Engine } from './engine.ts'
import { openIoOf } from './processes.ts'
import { inspectState, removeContainer } from './requests.ts'
import { confinement, OWNER, SOCKET_FOLDER } from './settings.ts'

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
    const { id } = await engine.call('create a container to look into', (abortSignal) =>
      engine.docker.createContainer({
        abortSignal,
        Image: image,
        Entrypoint: [node, '-e', 'require("node:net").createServer().listen("/tmp/alive")'],
        Cmd: [],
        User: '65534:65534',
        Labels: { [OWNER]: owner },
        HostConfig: {
          ...confinement(engine),
          NetworkMode: 'none',
          ReadonlyRootfs: true,
          Tmpfs: { '/tmp': 'rw,size=65536', ...SOCKET_FOLDER },
        },
      }),
    )
    undo.defer(() => removeContainer(engine, id).catch(() => {})) // the next start of the driver removes it
    await engine.call('start a container to look into', (abortSignal) =>
      engine.docker.getContainer(id).start({ abortSignal }),
    )
    const { Pid: pid } = await inspectState(engine, id)
    using io = openIoOf(id, pid)
    if (!io) return `process ${pid} is not its container's here`
    const { bsize, blocks } = await statfs(io.path)
    return bsize * blocks === IO_SIZE ? undefined : `${bsize * blocks} bytes instead of ${IO_SIZE}`
  } catch (error) {
    return messageOf(error)
  }
}
