/**
 * A reporter of `node --test`: what came of the contract of every driver that ran, driver × test, as Markdown.
 * `npm test` has it write drivers-matrix.md; where every engine is, that is docs/drivers-matrix.md, or a driver changed.
 */
import type { TestEvent } from 'node:test/reporters'

const DRIVERS = ['docker', 'podman', 'sandbox', 'process', 'mock'] as const

interface Outcome {
  readonly driver: string
  readonly group: string
  readonly test: string
  /** `✓`, `✗`, or `–` and why it was skipped. */
  readonly result: string
}

/** Collects the outcomes of the tests of a contract, and ends with the table. */
// biome-ignore lint/style/noDefaultExport: what node --test takes of a reporter
export default async function* matrix(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const outcomes: Outcome[] = []
  let path: readonly string[] = []
  for await (const { type, data } of events) {
    if (type !== 'test:start' && type !== 'test:pass' && type !== 'test:fail') continue
    path = path.slice(0, data.nesting)
    if (type === 'test:start') {
      path = [...path, data.name]
      continue
    }
    const [suite, group] = path
    if (path.length !== 2 || !suite?.startsWith('driver: ') || group === undefined) continue
    const driver = suite.slice('driver: '.length)
    outcomes.push({ driver, group, test: data.name, result: resultOf(type, data.skip) })
  }
  yield `${tableOf(outcomes)}\n`
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
    'Made by `npm test` from a run of the contract suite on each driver (scripts/driver-matrix.ts); not written by hand.\n' +
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
