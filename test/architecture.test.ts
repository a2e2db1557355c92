import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const SRC = fileURLToPath(new URL('../src', import.meta.url))

/** What each part may import besides itself and core (docs/architecture.md, "Who may import whom"). */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  host: [],
  http1: [],
  placement: [],
  'runner/policy': [],
  drivers: ['host'],
  store: [],
  runner: ['http1', 'runner/policy', 'drivers'],
  node: ['http1', 'host', 'runner', 'api', 'store', 'drivers'],
  api: ['host', 'store'],
  balancer: ['host', 'http1', 'placement', 'store'],
  cli: ['host', 'compose'],
  fdk: [],
  compose: ['host', 'placement', 'runner', 'drivers', 'store', 'node', 'api', 'balancer'],
  index: ['host', 'placement', 'runner', 'drivers', 'store', 'node', 'api', 'balancer', 'compose'],
}

/** Parts that run in a browser too, with the core files they import. */
const PURE = ['placement', 'runner/policy']

interface Source {
  readonly file: string
  readonly part: string
  readonly text: string
  /** Imported modules: our files as paths below src, others as written. */
  readonly imports: readonly string[]
}

const sources: readonly Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.[cm]?[jt]s$/.test(file) && !/\.(test|contract|d)\.ts$/.test(file) && !isFixture(file))
  .map((file) => {
    const text = readFileSync(join(SRC, file), 'utf8')
    const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
    const names = [...code.matchAll(/\b(?:from|import|require\()\s*\(?\s*'([^']+)'/g)].map(
      (match) => match[1] as string,
    )
    const imports = names.map((name) =>
      name.startsWith('.') ? relative(SRC, resolve(SRC, dirname(file), name)) : name,
    )
    return { file, part: partOf(file), text: code, imports }
  })

function isFixture(file: string): boolean {
  return file.includes('/functions/') || file.includes('/templates/')
}

function partOf(file: string): string {
  if (file.startsWith('runner/policy/')) return 'runner/policy'
  return (file.split('/')[0] as string).replace(/\.ts$/, '')
}

const ours = (name: string) => !name.startsWith('node:') && /\.[cm]?[jt]s$/.test(name)

test('there is something to check', () => {
  assert.ok(sources.length > 50)
})

test('every part imports only what the table allows', () => {
  const wrong = sources.flatMap(({ file, part, imports }) => {
    const allowed = MAY_IMPORT[part]
    assert.ok(allowed, `${file} belongs to no part of the table`)
    return imports
      .filter(ours)
      .map(partOf)
      .filter(
        (target) => target !== part && !(target === 'core' && part !== 'fdk') && !allowed.includes(target),
      )
      .map((target) => `${file} imports ${target}`)
  })
  assert.deepEqual(wrong, [])
})

test('no files import one another in a circle, not even for types', () => {
  const graph = new Map(sources.map(({ file, imports }) => [file, imports]))
  const found = circlesOf(graph).map((files) => files.sort().join(' '))
  assert.deepEqual(found, [])
})

/** The strongly connected parts of a graph that are more than one node (Tarjan 1972). */
function circlesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: string[] = []
  const circles: string[][] = []
  const visit = (node: string): void => {
    const own = index.size
    index.set(node, own)
    low.set(node, own)
    stack.push(node)
    for (const next of graph.get(node) ?? []) {
      if (!graph.has(next)) continue
      if (!index.has(next)) visit(next)
      const reached = stack.includes(next) ? (low.get(next) as number) : own
      low.set(node, Math.min(low.get(node) as number, reached))
    }
    if (low.get(node) !== own) return
    const circle = stack.splice(stack.indexOf(node))
    if (circle.length > 1) circles.push(circle)
  }
  for (const node of graph.keys()) if (!index.has(node)) visit(node)
  return circles
}

/** Longer files hide a noun that wants out. */
const MAX_LINES = 400

test('no file is long, no test either', () => {
  const long = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.[cm]?[jt]s$/.test(file))
    .filter((file) => readFileSync(join(SRC, file), 'utf8').split('\n').length - 1 > MAX_LINES)
  assert.deepEqual(long, [])
})

test('what is pure uses no node module, nor does the core that it imports', () => {
  const byFile = new Map(sources.map((source) => [source.file, source]))
  const seen = new Set<string>()
  const wrong: string[] = []
  const visit = (source: Source) => {
    if (seen.has(source.file)) return
    seen.add(source.file)
    for (const name of source.imports) {
      const target = byFile.get(name)
      if (target) visit(target)
      else wrong.push(`${source.file} imports ${name}`)
    }
  }
  for (const source of sources) if (PURE.includes(source.part)) visit(source)
  assert.deepEqual(wrong, [])
})

/** A rule of the house: which files may say what. */
const RULES: readonly { readonly what: RegExp; readonly only: RegExp }[] = [
  {
    what: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|\bset(Timeout|Interval|Immediate)\(/,
    only: /^core\/clock\.ts$/,
  },
  { what: /\bAbortSignal\.timeout\(|node:timers/, only: /^core\/clock\.ts$/ },
  { what: /\bMath\.random\(/, only: /^core\/random\.ts$/ },
  { what: /\bprocess\.env\b/, only: /^host\/config\.ts$/ },
  { what: /\bprocess\.exit(Code)?\b/, only: /^cli\/main\.ts$/ },
]

test('time, chance, the environment and the exit have one place each', () => {
  const wrong = sources
    .filter(({ part }) => part !== 'fdk') // it runs inside the container, in a process of the function's own
    .flatMap(({ file, text }) =>
      RULES.filter(({ what, only }) => !only.test(file) && what.test(text)).map(
        ({ what }) => `${file}: ${what.exec(text)?.[0]}`,
      ),
    )
  assert.deepEqual(wrong, [])
})
