// `npm run bench [-- NAME …]`: answers the questions, or those named, one after the other, as Markdown tables.
// With `--write FILE` the tables go to that file as well.
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { stayAlive } from '../src/core/clock.ts'
import { coldStart } from './cold-start.ts'
import { containerCost } from './container-cost.ts'
import { firstBurst } from './first-burst.ts'
import { hotCall } from './hot-call.ts'
import { hotContainers } from './hot-containers.ts'
import { idleMemory } from './idle-memory.ts'
import { manyFunctions } from './many-functions.ts'
import { soak } from './soak.ts'
import { sparseCalls } from './sparse-calls.ts'
import { type Benchmark, formatRows } from './support/table.ts'

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  'hot-call': hotCall,
  'cold-start': coldStart,
  'hot-containers': hotContainers,
  'container-cost': containerCost,
  'idle-memory': idleMemory,
  'sparse-calls': sparseCalls,
  'first-burst': firstBurst,
  'many-functions': manyFunctions,
}

/** Takes half an hour, so only when asked for by name. */
const LONG = { soak }

stayAlive() // until the exit below: drivers wait for nothing but a timer at times
const { values, positionals } = parseArgs({ allowPositionals: true, options: { write: { type: 'string' } } })
const names = positionals.length > 0 ? positionals : Object.keys(BENCHMARKS)
const tables = [
  `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}. Only ratios within one run mean anything.\n`,
]
let kept = true
for (const name of names) {
  const benchmark = { ...BENCHMARKS, ...LONG }[name]
  if (!benchmark)
    throw new Error(`no benchmark ${name}; there are ${Object.keys({ ...BENCHMARKS, ...LONG }).join(', ')}`)
  const rows = await benchmark.run()
  kept &&= rows.every(({ ratio, atMost = Infinity }) => ratio <= atMost)
  tables.push(formatRows(benchmark, rows))
  console.log(tables.at(-1))
}
if (values.write) writeFileSync(values.write, `${tables.join('\n')}`)
process.exit(kept ? 0 : 1)
