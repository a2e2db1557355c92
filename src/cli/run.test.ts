import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { runCli } from '../../test/support/cli.ts'
import { systemClock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import type { CommandFactory } from './command.ts'
import { makeProgram } from './run.ts'

/** The words of every command, from the program's own list. */
function everyCommand(): string[][] {
  const io = { clock: systemClock, isTTY: {} } as never
  const paths: string[][] = []
  const visit = (command: Command, path: string[]) => {
    paths.push(path)
    for (const child of command.commands) visit(child, [...path, child.name()])
  }
  visit(makeProgram(io), [])
  return paths
}

const failing = (error: unknown): CommandFactory => {
  return () =>
    new Command('fail').action(() => {
      throw error
    })
}

for (const path of everyCommand())
  test(`the help of "${['sluice', ...path].join(' ')}" has an example`, async () => {
    const { code, stdout } = await runCli([...path, '--help'])
    assert.equal(code, 0)
    assert.match(stdout, /^Examples?:\n {2}\$ /m)
  })

test('a mistyped command is answered with the nearest one, and exit code 2', async () => {
  const { code, stdout, stderr } = await runCli(['depoly'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.equal(stderr, `sluice: unknown command 'depoly'; did you mean deploy? See "sluice --help"\n`)
})

test('a missing option names the command whose help to read', async () => {
  const { code, stderr } = await runCli(['deploy'])
  assert.equal(code, 2)
  assert.equal(stderr, `sluice: required option '--app <app>' not specified; see "sluice deploy --help"\n`)
})

test('no command at all prints the help and is wrong use', async () => {
  const { code, stderr } = await runCli([])
  assert.equal(code, 2)
  assert.match(stderr, /^Usage: sluice/)
})

test('--version prints a version', async () => {
  const { code, stdout } = await runCli(['--version'])
  assert.equal(code, 0)
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
})

test('an error is one line: message, detail, and the exit code of its code', async () => {
  const error = new SluiceError('not-found', 'App not found', { detail: 'first line\n\tsecond line' })
  const { code, stderr } = await runCli(['fail'], { commands: [failing(error)] })
  assert.equal(code, 3)
  assert.equal(stderr, 'sluice: App not found: first line second line\n')
})

test('an untyped error is named as unexpected and exits with 7', async () => {
  const { code, stderr } = await runCli(['fail'], {
    commands: [failing(new TypeError('x is not a function'))],
  })
  assert.equal(code, 7)
  assert.equal(stderr, 'sluice: unexpected error: x is not a function; please report it\n')
})

test('what an interrupted command throws is an interruption, exit code 130', async () => {
  const reason = new DOMException('received SIGINT', 'AbortError')
  const { code, stderr } = await runCli(['fail'], {
    commands: [failing(reason)],
    signal: AbortSignal.abort(reason),
  })
  assert.deepEqual([code, stderr], [130, 'sluice: interrupted\n'])
})

test('an error of the clean-up after an interruption is still told', async () => {
  const { code, stderr } = await runCli(['fail'], {
    commands: [failing(new SluiceError('store-unavailable'))],
    signal: AbortSignal.abort(),
  })
  assert.deepEqual([code, stderr], [7, 'sluice: Store is unavailable\n'])
})

test('a terminal gets colour, and none with NO_COLOR', async () => {
  const commands = [failing(new SluiceError('gone'))]
  const colored = await runCli(['fail'], { commands, terminal: true })
  const plain = await runCli(['fail'], { commands, terminal: true, env: { NO_COLOR: '1' } })
  assert.equal(colored.stderr, '\u001b[31msluice:\u001b[39m Gone\n')
  assert.equal(plain.stderr, 'sluice: Gone\n')
})

test("a server's text cannot move the terminal's cursor", async () => {
  const { stderr } = await runCli(['fail'], {
    commands: [failing(new SluiceError('invalid', 'a\u001b[2Jb\u0007c'))],
  })
  assert.equal(stderr, 'sluice: ab c\n')
})
