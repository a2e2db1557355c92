import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRole } from '../test/support/sluice.ts'
import type { Benchmark, Row } from './support/table.ts'

const LIMIT_MIB = 200

export const idleMemory: Benchmark = {
  question: 'How much memory does `sluice start` with three local nodes hold while idle, in its one process?',
  async run(): Promise<Row[]> {
    const dir = await mkdtemp(join(tmpdir(), 'slm-'))
    try {
      const args = [
        'start',
        '--driver',
        'process',
        '--port',
        '0',
        '--admin-port',
        '0',
        '--local-nodes',
        '3',
        '--data-dir',
        dir,
      ]
      await using server = await startRole(args)
      await new Promise((resolve) => setTimeout(resolve, 5_000)) // a few health checks
      const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
      const children = await readFile(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8')
      if (children.trim() !== '') throw new Error(`it has child processes: ${children}`)
      const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
      return [
        {
          what: 'resident memory ÷ the limit',
          baseline: `${LIMIT_MIB} MiB`,
          measured: `${resident.toFixed(0)} MiB`,
          ratio: resident / LIMIT_MIB,
          atMost: 1,
        },
      ]
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  },
}
