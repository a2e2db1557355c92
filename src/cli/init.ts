import { lstat, mkdir, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { type CommandFactory, withExamples } from './command.ts'
import { type Io, note, print } from './io.ts'
import { makeFiles, RUNTIMES, type Runtime } from './templates.ts'

export const initCommand: CommandFactory = (io) =>
  withExamples(
    new Command('init')
      .description('write a new function into a new folder')
      .argument('<name>', "the function's name and its folder")
      .addOption(
        new Option('--runtime <runtime>', 'what to write it in').choices(RUNTIMES).default('typescript'),
      )
      .action((name: string, { runtime }: { runtime: Runtime }) => init(io, name, runtime)),
    'sluice init hello',
    'sluice init hello --runtime fdk',
  )

async function init(io: Io, name: string, runtime: Runtime): Promise<void> {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$/.test(name))
    throw new SluiceError('invalid', 'a function is named with letters, digits, "_" and "-", at most 100', {
      detail: `got ${JSON.stringify(name)}`,
    })
  const dir = resolve(io.cwd, name)
  const files = Object.entries(makeFiles(name, runtime))
  for (const [file] of files) await refuseExisting(join(dir, file)) // all of them before the first is written
  await mkdir(dir, { recursive: true })
  for (const [file, content] of files) await writeFile(join(dir, file), content, { flag: 'wx' })

  for (const [file] of files) print(io, `Wrote ${join(relative(io.cwd, dir), file)}`)
  note(io, 'Next:')
  if (runtime === 'fdk') note(io, `  (cd ${name} && npm install)   # once, for package-lock.json`)
  note(io, `  sluice deploy --app myapp ${name}`)
  note(io, `  echo '{"name":"Ada"}' | sluice invoke myapp ${name}`)
}

async function refuseExisting(path: string): Promise<void> {
  if (await lstat(path).catch(() => undefined))
    throw new SluiceError('conflict', `${path} exists already`, {
      detail: 'choose another name, or remove it first; nothing was written',
    })
}
