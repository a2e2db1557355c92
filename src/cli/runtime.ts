import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { messageOf, SluiceError } from '../core/errors.ts'
import { type CommandFactory, groupOf, withExamples } from './command.ts'
import { type Io, note, print, printJson, warn } from './io.ts'
import { formatSize } from './tar.ts'

interface Options {
  readonly dataDir: string
  readonly output?: string
  readonly json?: boolean
}

export const runtimeCommand: CommandFactory = (io) =>
  groupOf(
    withExamples(
      new Command('runtime').description('the base runtime: what functions without an image run on'),
      'sluice runtime build',
    ),
    [buildCommand(io)],
  )

const buildCommand: CommandFactory = (io) =>
  withExamples(
    new Command('build')
      .description('make it ahead of its first use: Node, its libraries and a shell')
      .option('--data-dir <dir>', 'folder of all state', './.sluice')
      .option('--output <file>', 'also write it as an image archive, for `docker load` and `podman load`')
      .option('--json', 'print JSON')
      .action((options: Options) => build(io, options)),
    'sluice runtime build',
    'sluice runtime build --output runtime.tar && docker load --input runtime.tar',
  )

async function build(io: Io, { dataDir, output, json = false }: Options): Promise<void> {
  const { buildBaseRuntime, packRuntime, runtimeImage, sizeOfRuntime } = await import('../compose/runtime.ts')
  const runtime = await buildBaseRuntime(resolve(io.cwd, dataDir), {
    signal: io.signal,
    onStep: (step) => note(io, step),
  })
  if (!runtime.shell) warn(io, 'it has no shell: install busybox-static and build it again')
  const bytes = await sizeOfRuntime(runtime)
  const image = runtimeImage(runtime)
  const { version, dir: path } = runtime
  if (output !== undefined) {
    note(io, `writing ${output}`)
    await writeWhole(packRuntime(runtime), resolve(io.cwd, output), io.signal)
  }
  if (json) return printJson(io, { version, bytes, path, image, output: output ?? null })
  print(io, `version  ${version}`)
  print(io, `size     ${formatSize(bytes)}`)
  print(io, `path     ${path}`)
  if (output !== undefined) print(io, `image    ${image} in ${output}`)
}

/** The file is whole or absent; one that was there is replaced. */
async function writeWhole(content: NodeJS.ReadableStream, file: string, signal: AbortSignal): Promise<void> {
  const half = `${file}.${process.pid}.half`
  try {
    await pipeline(content, createWriteStream(half), { signal })
    await rename(half, file)
  } catch (error) {
    await rm(half, { force: true })
    if ((error as NodeJS.ErrnoException).code?.startsWith('E'))
      throw new SluiceError('invalid', `cannot write ${file}`, { detail: messageOf(error), cause: error })
    throw error
  }
}
