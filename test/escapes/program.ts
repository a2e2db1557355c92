import { type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { canSandbox } from '../support/sandbox.ts'

/** What `attempts.c` says of one attempt. */
export interface Result {
  readonly attempt: string
  readonly denied: boolean
  /** What stopped it; 0 when nothing did, and when a signal did. */
  readonly errno: number
  readonly signal: number
}

/** Of one run: what each attempt came to, and what the program said about those that got through. */
export interface Report {
  readonly results: ReadonlyMap<string, Result>
  readonly remarks: string
}

/** Why the suite is skipped; `false` where this machine has all that it needs. @throws where CI promises that */
export function cannotTry(): string | false {
  const missing = canSandbox() || [noRoot(), noCompiler()].find((reason) => reason !== '') || ''
  if (missing && process.env['CI']) throw new Error(missing)
  return missing || false
}

const noRoot = (): string => (process.getuid?.() === 0 ? '' : 'run as root')

const noCompiler = (): string =>
  spawnSync('gcc', ['--version']).status === 0 ? '' : 'install gcc and libc6-dev'

/** Compiles a C program, static: a sandbox has nothing to link it with. */
export function compile(source: string, path: string): void {
  const { status, stderr } = spawnSync('gcc', ['-static', '-O1', '-o', path, source], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`cannot compile ${source}: ${stderr}`)
}

/** Makes attempts on this machine itself, with a descriptor too many. */
export async function tryOutside(
  program: string,
  attempts: readonly string[],
  options: SpawnOptions,
): Promise<Report> {
  const { stdio } = spawn(program, attempts, { ...options, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
  const [stdout, stderr] = await Promise.all([text(stdio[1] as Readable), text(stdio[2] as Readable)])
  return reportOf(attempts, stdout, stderr)
}

/** @throws Error when an attempt is missing: the program ended early, or was not let run */
export function reportOf(attempts: readonly string[], stdout: string, remarks: string): Report {
  const lines = stdout.split('\n').filter((line) => line !== '')
  const results = new Map(
    lines.map((line): [string, Result] => {
      const result: Result = JSON.parse(line)
      return [result.attempt, result]
    }),
  )
  const missing = attempts.filter((attempt) => !results.has(attempt))
  if (missing.length > 0 || remarks.includes('no such attempt'))
    throw new Error(`not tried: ${missing.join(', ')}\n${remarks}`)
  return { results, remarks }
}

/** Whether root has a right here: in a container of its own, or on a cut-down machine, it may not. */
export function hasCapability(bit: number): boolean {
  const [, rights = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return ((BigInt(`0x${rights}`) >> BigInt(bit)) & 1n) === 1n
}
