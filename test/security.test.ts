import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const DOCS = fileURLToPath(new URL('../docs', import.meta.url))

test('docs/security.md names tests that are there', () => {
  const page = readFileSync(join(DOCS, 'security.md'), 'utf8')
  const held = [...page.matchAll(/`([^`]+)` \(\[[^\]]+\]\(([^)]+)\)\)/g)]
  assert.ok(held.length > 15, `${held.length} lines name a test`)
  const wrong = held.filter(
    ([, name, file]) => !readFileSync(join(DOCS, file as string), 'utf8').includes(`'${name}'`),
  )
  assert.deepEqual(
    wrong.map(([, name]) => name),
    [],
  )
})
