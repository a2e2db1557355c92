/**
 * Runs the contract of every driver and writes what came of it to docs/drivers-matrix.md: driver × test.
 * `node scripts/driver-matrix.ts`, or with `--check` to fail when the file is not what it would write.
 * Needs every engine: `sh scripts/with-engines.sh node scripts/driver-matrix.ts`.
 */
import { glob, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from 'node:test'

const ROOT = join(import.meta.dirname, '..')
const FILE = join(ROOT, 'docs/drivers-matrix.md')
const DRIVERS = ['docker', 'podman', 'sandbox', 'process', 'mock'] as const

interface Outcome {
  readonly driver: string
  readonly group: string
  readonly test: string
  /** `✓`, `✗`, or `–` and why it was skipped. */
  readonly result: string
}

/** What came of every test, in the order of the contract. */
async function runContracts(files: string[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  let path: readonly string[] = []
  for await (const { type, data } of run({ files, concurrency: 1, timeout: 120_000 })) {
    if (type !== 'test:start' && type !== 'test:pass' && type !== 'test:fail') continue
    path = path.slice(0, data.nesting)
    if (type === 'test:start') {
      path = [...path, data.name]
      continue
    }
    if (type === 'test:fail') console.error(`✗ ${[...path, data.name].join(' › ')}`)
    const [suite, group] = path
    if (path.length !== 2 || !suite?.startsWith('driver: ') || group === undefined) continue
    const driver = suite.slice('driver: '.length)
    outcomes.push({ driver, group, test: data.name, result: resultOf(type, data.skip) })
  }
  return outcomes
}

function resultOf(type: 'test:pass' | 'test:fail', skip: string | boolean | undefined): string {
  if (skip !== undefined && skip !== false) return `– ${skip}`
  return type === 'test:pass' ? '✓' : '✗'
}

function tableOf(outcomes: readonly Outcome[]): string {
  const cell = (group: string, test: string, driver: string) =>
    outcomes.find((outcome) => outcome.group === group && outcome.test === test && outcome.driver === driver)
      ?.result ?? ''
  const sections = unique(outcomes.map(({ group }) => group)).map((group) => {
    const tests = unique(outcomes.filter((outcome) => outcome.group === group).map(({ test }) => test))
    const rows = tests.map((test) => [test, ...DRIVERS.map((driver) => cell(group, test, driver))])
    return `## ${group}\n\n${markdown([['', ...DRIVERS], ...rows])}`
  })
  return [
    '# Drivers and their contract',
    'Made by `scripts/driver-matrix.ts` from a run of the contract suite on each driver; not written by hand.\n' +
      '✓ held, ✗ failed, – was not asked, and why: what a driver does not state in its capabilities is not asked of it.',
    ...sections,
  ].join('\n\n')
}

function markdown([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const unique = (words: readonly string[]) => [...new Set(words)]

const files = (await Array.fromAsync(glob('src/drivers/*/*.contract.test.ts', { cwd: ROOT }))).sort()
const outcomes = await runContracts(files.map((file) => join(ROOT, file)))
const missing = DRIVERS.filter((driver) => !outcomes.some((outcome) => outcome.driver === driver))
const text = `${tableOf(outcomes)}\n`

if (missing.length > 0)
  fail(`not run here: ${missing.join(', ')}; install what is missing, then run this again`)
else if (!process.argv.includes('--check')) await writeFile(FILE, text)
else if ((await readFile(FILE, 'utf8').catch(() => '')) !== text)
  fail('docs/drivers-matrix.md is not current: run node scripts/driver-matrix.ts')
if (outcomes.some(({ result }) => result === '✗')) fail('a driver breaks the contract')

function fail(line: string): void {
  console.error(`driver-matrix: ${line}`)
  process.exitCode = 1
}
