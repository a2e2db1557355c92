import { api, type HostConfig } from './api.ts'
import type { Engine } from './engine.ts'
import { removeContainer } from './requests.ts'
import { confinement, OWNER } from './settings.ts'

export interface AuxiliaryOptions {
  readonly engine: Engine
  readonly owner: string
  readonly image: string
  readonly argv: readonly string[]
  /** Besides no rights and no network. */
  readonly host: HostConfig
}

/** Starts a container of the driver's own, as nobody. Whoever asked for it removes it. @returns its id */
export async function startAuxiliary(options: AuxiliaryOptions): Promise<string> {
  const { argv, engine, host, image, owner } = options
  const { Id: id } = await engine.ask(
    'create a container of its own',
    api.create({
      Image: image,
      Entrypoint: [...argv],
      Cmd: [],
      Hostname: 'fn',
      User: '65534:65534',
      Labels: { [OWNER]: owner },
      HostConfig: { ...confinement(engine), NetworkMode: 'none', ReadonlyRootfs: true, ...host },
    }),
  )
  try {
    await engine.ask('start a container of its own', api.start(id))
  } catch (error) {
    await removeContainer(engine, id).catch(() => {}) // the next start of the driver removes it
    throw error
  }
  return id
}
