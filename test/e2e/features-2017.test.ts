import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const DOCS = fileURLToPath(new URL('../../docs', import.meta.url))
const ROWS = [
  18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 65, 66, 90,
]

interface Entry {
  readonly row: number
  /** Name of a test; absent where it is decided otherwise. */
  readonly test: string | undefined
  /** The file of the test, or of the decision. */
  readonly file: string
}

const page = readFileSync(join(DOCS, 'features-2017.md'), 'utf8')
const entries = page.split('\n').flatMap((line): Entry[] => {
  const [, row, , held = '', place = ''] = line.split('|').map((cell) => cell.trim())
  const file = /^\[.*\]\((.*)\)$/.exec(place)?.[1]
  if (file === undefined) return []
  return [{ row: Number(row), test: /^`(.*)`$/.exec(held)?.[1], file: join(DOCS, file) }]
})

describe('docs/features-2017.md', () => {
  test('has one line for each feature', () => {
    assert.deepEqual(
      entries.map(({ row }) => row),
      ROWS,
    )
  })

  for (const { row, test: name, file } of entries)
    test(`tells the truth about row ${row}`, () => {
      assert.ok(existsSync(file), `there is no ${file}`)
      const text = readFileSync(file, 'utf8')
      if (name === undefined) assert.match(text, new RegExp(`\\brows? (\\d+ and )?${row}\\b`, 'i'))
      else {
        assert.match(name, new RegExp(`^row ${row}\\b`))
        assert.ok(text.includes(`test('${name}'`), `no test of ${file} is called ${name}`)
      }
    })
})
