import { resolve } from 'node:path'
import { SluiceError } from '../../core/errors.ts'
import { type App, bundleImage, type Config } from '../../core/words.ts'
import type { Bundle } from '../bundle.ts'
import type { Client } from '../client.ts'
import { type FuncFile, readFuncFile } from '../func-file.ts'
import { type Io, note, warn } from '../io.ts'
import { putFunction, putTriggers } from './put.ts'
import type { BundleSummary, Deployed } from './report.ts'

export interface DeployOptions {
  /** Name of the app. */
  readonly app: string
  /** When it is missing. */
  readonly createApp: boolean
  /** Load the function once before it is sent. */
  readonly check: boolean
  /** List the files that are sent. */
  readonly verbose?: boolean
}

/** A folder as it was read: what it says, and how it becomes a bundle. */
export interface Folder {
  readonly func: FuncFile
  /** Nothing when the function is an image. */
  pack(config: Config): Promise<Bundle | undefined>
}

/** Reads a function's folder and warns about what is odd in it. */
export async function openFolder(
  io: Io,
  folder: string,
  options: Omit<DeployOptions, 'app' | 'createApp'>,
): Promise<Folder> {
  const dir = resolve(io.cwd, folder)
  const { func, path, warnings } = await readFuncFile(dir)
  for (const warning of warnings) warn(io, warning)
  return {
    func,
    async pack(config) {
      if (func.image !== undefined) return undefined
      const bundle = await pack(io, dir, func, { ...options, config: { ...config, ...func.config } })
      if (path === undefined)
        note(io, `no func.yaml in ${folder}: the function is named ${func.name} and has defaults`)
      return bundle
    },
  }
}

/** Makes app, function and triggers as the folder says; nothing is changed before the bundle is made. */
export async function deployFolder(
  io: Io,
  client: Client,
  { func, pack }: Folder,
  options: DeployOptions,
): Promise<Deployed> {
  const existing = await client.findApp(options.app) // before the slow part: is the server there at all?
  if (existing === undefined && !options.createApp) await client.app(options.app)
  const held = existing && (await client.findFn(existing, func.name))
  const bundle = await pack({ ...existing?.config, ...held?.config })

  const app = existing ?? (await createApp(client, options.app))
  const uploaded = bundle !== undefined && (await upload(io, client, bundle))
  const image = bundle === undefined ? (func.image ?? '') : bundleImage(bundle.digest)
  const put = await putFunction(client, app, func, image, held)
  return {
    app,
    appChange: existing === undefined ? 'created' : 'unchanged',
    bundle: bundle && { ...withoutFiles(bundle), uploaded },
    put,
    triggers: await putTriggers(client, put.fn, func),
  }
}

type PackOptions = Omit<DeployOptions, 'app' | 'createApp'> & { readonly config: Config }

async function pack(
  io: Io,
  dir: string,
  func: FuncFile,
  { check, config, verbose = false }: PackOptions,
): Promise<Bundle> {
  const { packBundle } = await import('../bundle.ts')
  const { explainLeftOut, formatContents } = await import('./contents.ts')
  const { checkProgram } = await import('./check.ts')
  const { signal, env } = io
  const { format = 'http-stream', concurrency = 1 } = func
  const bundle = await packBundle(dir, {
    ...{ signal, env, concurrency, onProgress: (line: string) => note(io, line) },
    ...(check && {
      async check(dir: string, entry: string) {
        const warning = await checkProgram({ dir, entry, format, config, signal })
        if (warning !== undefined) warn(io, warning)
      },
    }),
  })
  const words = verbose ? formatContents(io, bundle) : explainLeftOut(bundle)
  if (words !== undefined) note(io, words)
  return bundle
}

/** Another deploy may create the same app at the same moment: then that one is it. */
async function createApp(client: Client, name: string): Promise<App> {
  try {
    return await client.create('apps', { name })
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'conflict') return await client.app(name)
    throw error
  }
}

async function upload(io: Io, client: Client, bundle: Bundle): Promise<boolean> {
  if (await client.hasBundle(bundle.digest)) return false
  const { formatSize } = await import('../tar.ts')
  note(io, `uploading ${formatSize(bundle.size)} …`)
  await client.putBundle(bundle.digest, bundle.tar)
  return true
}

export const withoutFiles = ({ tar: _, contents: __, ...rest }: Bundle): BundleSummary => rest
