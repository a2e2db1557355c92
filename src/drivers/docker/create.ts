import { chmod, mkdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../core/errors.ts'
import { type ContainerSpec, DriverError } from '../driver.ts'
import { makeShortDir } from '../socket.ts'
import { api } from './api.ts'
import type { Engine } from './engine.ts'
import { engineMessage, statusOf } from './faults.ts'
import { containerName, OWNER, type Surroundings, settingsOf } from './settings.ts'

/** Creates a container. @returns its id. @throws DriverError */
export async function createContainer(
  engine: Engine,
  spec: ContainerSpec,
  around: Surroundings,
): Promise<string> {
  const name = containerName(spec)
  let tries = 0
  const create = async (signal: AbortSignal): Promise<string> => {
    tries++
    try {
      return (await engine.send(api.create(settingsOf(spec, around), name), signal)).Id
    } catch (error) {
      // Made by a try whose answer was lost.
      if (statusOf(error) !== 409 || tries === 1) throw error
      const { Config, Id } = await engine.send(api.inspect(name), signal)
      if (Config.Labels[OWNER] === around.owner) return Id
      throw error
    }
  }
  try {
    return await engine.call('create the container', create, { idempotent: true })
  } catch (error) {
    throw createFault(error)
  }
}

function createFault(error: unknown): unknown {
  const message = engineMessage(error)
  const fault =
    statusOf(error) === 400 ? 'bad-spec' : /no such image/i.test(message) ? 'image-missing' : undefined
  if (!fault) return error
  const text = `Failed to create container from task configuration '${message}'`
  return new DriverError(fault, text, { cause: error })
}

/** The folders of this machine that a spec names are there. @throws DriverError `bad-spec` */
export async function checkFolders({ source, volumes = [] }: ContainerSpec): Promise<void> {
  const paths = volumes.map((volume) => volume.source)
  if (source.kind === 'bundle') await check(source.dir, 'cannot use the bundle', true)
  if (source.kind === 'bundle' && source.stripped !== undefined)
    await check(source.stripped, 'cannot use what is beside the bundle', true)
  for (const path of paths) await check(path, 'cannot use the volume', false)
}

async function check(path: string, what: string, folder: boolean): Promise<void> {
  try {
    const found = await stat(path)
    if (folder && !found.isDirectory()) throw new Error(`${path} is not a folder`)
  } catch (error) {
    throw new DriverError('bad-spec', `${what}: ${messageOf(error)}`, { cause: error })
  }
}

/** A fresh folder that only this process can enter; in `io` of it a container of any user may make its socket. */
export async function makeFolderOf(root: string): Promise<string> {
  try {
    const dir = await realpath(await makeShortDir(root, 'io'))
    await mkdir(join(dir, 'io'))
    await chmod(join(dir, 'io'), 0o777)
    return dir
  } catch (error) {
    if (error instanceof DriverError) throw error
    throw new DriverError('unavailable', `cannot make the container's folder: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
