import { Command, Option } from 'commander'
import { messageOf } from '../core/errors.ts'
import { DRIVER_CHOICES, type DriverChoice } from '../core/words.ts'
import { type CommandFactory, withExamples } from './command.ts'
import type { DemoReport } from './demo/demo.ts'
import { type Io, paint, print } from './io.ts'

interface Options {
  readonly driver: DriverChoice
  readonly json?: boolean
}

export const demoCommand: CommandFactory = (io) =>
  withExamples(
    new Command('demo')
      .description(
        'see it work: three nodes, the examples, and calls that move away from a busy node and back',
      )
      .addOption(
        new Option('--driver <name>', 'how containers are made').choices(DRIVER_CHOICES).default('auto'),
      )
      .option('--json', 'print a report as one line of JSON, last')
      .action(async ({ driver, json = false }: Options) => {
        const { runDemo } = await import('./demo/demo.ts')
        const { Screen } = await import('./demo/screen.ts')
        const screen = new Screen(io, json ? 'stderr' : 'stdout')
        try {
          const report = await runDemo(io, driver, screen)
          if (json) print(io, JSON.stringify(report))
          else tellEnd(io, report)
        } catch (error) {
          if (json) print(io, JSON.stringify({ ok: false, error: messageOf(error) }))
          throw error
        }
      }),
    'sluice demo',
    'sluice demo --json',
  )

function tellEnd(io: Io, { contention, unjudged }: DemoReport): void {
  const line = (text: string) =>
    print(io, paint(io, 'stdout', unjudged.length > 0 ? 'yellow' : 'green', text))
  if (unjudged.length === 0) line('\nAll as promised.')
  else {
    line('\nThis machine is busy, so this was not judged:')
    for (const text of unjudged) print(io, `  ${text}`)
    print(io, `  (a piece of work took ${contention} times its CPU time; try again when it is quiet)`)
    print(io, 'No call failed and the load was spread, as promised.')
  }
  print(io, 'Next: sluice start')
}
