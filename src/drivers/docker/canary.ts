import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Random } from '../../core/random.ts'
import { END, tarHead } from '../runtime/tar.ts'
import { api } from './api.ts'
import type { Engine } from './engine.ts'
import { engineMessage } from './faults.ts'
import { removeContainer } from './requests.ts'
import { OWNER } from './settings.ts'

export interface CanaryOptions {
  readonly engine: Engine
  readonly owner: string
  /** Of this machine. */
  readonly dir: string
  readonly random: Random
  /** What the engine says of its machine. */
  readonly kernel: string
}

/**
 * Whether an engine mounts this machine's folders, and sockets in them lead from container to node: it has to have this
 * kernel, and see a file that was just made here. The file is read through a container that is never started, of an
 * empty image, so that it takes neither time nor anything that must be there.
 * @returns why not, or `undefined` when it does
 */
export async function whyNotShared(options: CanaryOptions): Promise<string | undefined> {
  const { dir, engine, kernel, owner, random } = options
  if (process.platform !== 'linux' || kernel !== release()) return 'it runs on another kernel'
  const token = Array.from({ length: 4 }, () => random().toString(36).slice(2)).join('')
  const folder = await mkdtemp(join(dir, 'canary-'))
  await using undo = new AsyncDisposableStack()
  undo.defer(() => rm(folder, { recursive: true, force: true }))
  try {
    await writeFile(join(folder, 'token'), token, { mode: 0o600 })
    const image = await importNothing(engine)
    undo.defer(() => removeImage(engine, image))
    const { Id: id } = await engine.ask(
      'create a container for the canary',
      api.create({
        Image: image,
        Cmd: ['/none'],
        Labels: { [OWNER]: owner },
        HostConfig: {
          NetworkMode: 'none',
          Mounts: [{ Type: 'bind', Source: folder, Target: '/sluice', ReadOnly: true }],
        },
      }),
    )
    undo.defer(() => removeContainer(engine, id))
    const archive = await engine.ask('read the canary', api.archive(id, '/sluice/token'))
    return archive.includes(token) ? undefined : 'it sees other files'
  } catch (error) {
    return engineMessage(error)
  }
}

async function importNothing(engine: Engine): Promise<string> {
  const tar = Readable.from([tarHead({ type: 'folder', name: 'sluice/', mode: 0o755, size: 0 }), END])
  const answer = await engine.ask('import an empty image', api.importFiles(tar))
  const [id] = /sha256:[0-9a-f]{64}/.exec(answer) ?? []
  if (id === undefined) throw new Error(`it does not import images: ${answer.trim()}`)
  return id
}

async function removeImage(engine: Engine, image: string): Promise<void> {
  await engine.ask('remove the empty image', api.removeImage(image)).catch(() => {}) // another node's canary may use it now
}
