import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { type CommandFactory, withExamples } from './command.ts'
import { print, printJson } from './io.ts'
import { withClient } from './with-client.ts'

/** The version of this package; the same path from `src/cli` and from `dist/cli`. */
export function clientVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return version
}

export const versionCommand: CommandFactory = (io) =>
  withExamples(
    new Command('version')
      .description('print the versions of this command line and of the server')
      .option('--json', 'print JSON')
      .action(async ({ json = false }: { json?: boolean }) => {
        const client = clientVersion()
        await withClient(io, async (api) => {
          const server = await api.version().catch((error: unknown) => {
            if (error instanceof SluiceError && error.code === 'node-unreachable') return undefined
            throw error
          })
          if (json) return printJson(io, { client, server: server ?? null, url: api.url })
          print(io, `client  ${client}`)
          print(io, `server  ${server ?? 'not running'} (${api.url})`)
        })
      }),
    'sluice version',
  )
