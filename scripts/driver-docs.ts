/**
 * Writes what each driver states in its capabilities into docs/drivers.md, between its markers.
 * `node scripts/driver-docs.ts`, or with `--check` to fail when the page is not what it would write.
 * Needs every engine and root, as CI has: `sh scripts/with-engines.sh node scripts/driver-docs.ts`.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../src/core/clock.ts'
import { systemRandom } from '../src/core/random.ts'
import { openImages } from '../src/drivers/archive/archive.ts'
import { dockerDriver } from '../src/drivers/docker/docker.ts'
import {
  BOUNDARIES,
  type Capabilities,
  type Driver,
  LIMITS,
  METRICS,
  NETWORKS,
  SPEC_OPTIONS,
} from '../src/drivers/driver.ts'
import { mockDriver } from '../src/drivers/mock/mock.ts'
import { processDriver } from '../src/drivers/process/process.ts'
import { packRuntime } from '../src/drivers/runtime/image.ts'
import { buildRuntime } from '../src/drivers/runtime/runtime.ts'
import { sandboxDriver } from '../src/drivers/sandbox/sandbox.ts'
import { testEngine } from '../test/support/engine.ts'
import { tempDir } from '../test/support/temp.ts'

const ROOT = join(import.meta.dirname, '..')
const FILE = join(ROOT, 'docs/drivers.md')
const [BEGIN, END] = ['<!-- capabilities: made by scripts/driver-docs.ts -->', '<!-- end of capabilities -->']

type Column = readonly [name: string, capabilities: Capabilities]

/** Opens each driver, only to ask what it can. */
async function readCapabilities(): Promise<Column[]> {
  await using temp = await tempDir()
  const around = { clock: systemClock, random: systemRandom }
  const runtime = await buildRuntime({ dir: join(temp.path, 'runtime'), fdk: join(ROOT, 'src/fdk') })
  const engine = (name: 'docker' | 'podman') => () => {
    const { host, skip } = testEngine(name)
    if (skip) throw new Error(skip)
    const dataDir = join(temp.path, name)
    return dockerDriver({
      ...around,
      host,
      dataDir,
      runtime: { ...runtime, pack: () => packRuntime(runtime) },
    })
  }
  const images = openImages({ dir: join(temp.path, 'images'), cache: join(temp.path, 'cache') })
  const drivers: Readonly<Record<string, () => Driver | Promise<Driver>>> = {
    docker: engine('docker'),
    podman: engine('podman'),
    sandbox: () => sandboxDriver({ dataDir: temp.path, clock: systemClock, runtime, images }),
    process: () => processDriver({ dataDir: temp.path }),
    mock: () => mockDriver(around),
  }
  const columns: Column[] = []
  for (const [name, open] of Object.entries(drivers)) {
    await using driver = await open()
    columns.push([name, driver.capabilities])
  }
  return columns
}

function tableOf(columns: readonly Column[]): string {
  const row = (title: string, cell: (capabilities: Capabilities) => string) => [
    title,
    ...columns.map(([, capabilities]) => cell(capabilities)),
  ]
  const each = (title: string, words: readonly string[], list: (of: Capabilities) => readonly string[]) =>
    words.map((word) => row(`${title} ${word}`, (of) => (list(of).includes(word) ? '✓' : '–')))
  const rows = [
    ['', ...columns.map(([name]) => name)],
    columns.map(() => '---').concat('---'),
    row('isolation', ({ isolation }) => isolation),
    ...each('runs', ['bundle', 'image'], ({ runs }) => runs),
    row('function formats', formatsOf),
    ...each('isolates', BOUNDARIES, ({ isolates }) => isolates),
    ...each('gives network', NETWORKS, ({ networks }) => networks),
    ...each('limits', LIMITS, ({ limits }) => limits),
    row('pauses', ({ pause }) => (pause ? '✓' : '–')),
    ...each('takes', SPEC_OPTIONS, ({ options }) => options),
    ...each('measures', METRICS, ({ measures }) => measures),
  ]
  const trust = columns.map(([name, { trusts }]) => `- **${name}**: ${trusts}`)
  return [
    rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n'),
    'What you trust when you run code of others on it:',
    trust.join('\n'),
  ].join('\n\n')
}

/**
 * A format says how calls reach a function: over its socket (which the bootstrap of bundles relays for `port`), or by
 * its input and output. What the mock driver echoes is no HTTP.
 */
function formatsOf({ modes, runs, isolates, isolation }: Capabilities): string {
  const isMock = isolation === 'none' && isolates.length > 0
  return [
    ...(modes.includes('hot') ? ['http-stream'] : []),
    ...(modes.includes('hot') && runs.includes('bundle') && !isMock ? ['port'] : []),
    ...(modes.includes('cold') ? ['default'] : []),
    ...(modes.includes('cold') && !isMock ? ['http'] : []),
  ].join(', ')
}

function replaceBetween(page: string, text: string): string {
  const [before, rest] = page.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error('docs/drivers.md has no markers')
  return `${before}${BEGIN}\n\n${text}\n\n${END}${after}`
}

const page = await readFile(FILE, 'utf8')
const made = replaceBetween(page, tableOf(await readCapabilities()))
if (!process.argv.includes('--check')) await writeFile(FILE, made)
else if (made !== page) {
  console.error('driver-docs: docs/drivers.md is not current: run node scripts/driver-docs.ts')
  process.exitCode = 1
}
