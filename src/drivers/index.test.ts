import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const SRC = join(import.meta.dirname, '..')

/** What the files of a part import from others' packages. */
function packagesOf(part: string): string[] {
  return readdirSync(join(SRC, part), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.ts$/.test(file) && !/\.test\.ts$/.test(file) && !/contract\/functions\//.test(file))
    .flatMap((file) =>
      Array.from(
        readFileSync(join(SRC, part, file), 'utf8').matchAll(/\b(?:from |import\()'([a-z@][^'\n]*)'/g),
        ([, name]) => name as string,
      ),
    )
    .filter((name) => !name.startsWith('node:'))
}

test('who uses the drivers alone loads one package of others: tar-stream', () => {
  assert.deepEqual([...new Set(['core', 'host', 'drivers'].flatMap(packagesOf))], ['tar-stream'])
})
