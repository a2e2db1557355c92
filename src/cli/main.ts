import { stayAlive, systemClock } from '../core/clock.ts'
import { INTERRUPTED, run } from './run.ts'

/** The only file that exits. The first Ctrl-C asks the command to stop, the second one does not ask. */
const SIGNALS = { SIGINT: INTERRUPTED, SIGTERM: 143 } as const
const interrupt = new AbortController()
let signalled: keyof typeof SIGNALS | undefined

for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.on(name, () => {
    if (signalled !== undefined) process.exit(SIGNALS[name])
    signalled = name
    interrupt.abort(new DOMException(`received ${name}`, 'AbortError'))
  })

// `sluice list apps | head`: whoever reads has had enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

stayAlive() // until the exit below: what stops last may wait for nothing but a timer
const code = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: process.cwd(),
  signal: interrupt.signal,
  isTTY: {
    stdin: process.stdin.isTTY === true,
    stdout: process.stdout.isTTY === true,
    stderr: process.stderr.isTTY === true,
  },
  clock: systemClock,
})
// An open stdin would keep the process alive; what was printed must arrive first.
await new Promise((resolve) => process.stdout.write('', resolve))
process.exit(code === INTERRUPTED && signalled !== undefined ? SIGNALS[signalled] : code)
