import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Entry of the package → file. */
const ENTRIES = { sluice: 'src/index.ts', 'sluice/drivers': 'src/drivers/index.ts' }

/** The names that a module exports, its types too, those of `export *` included. */
function namesOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const lists = [...text.matchAll(/^export (type )?\{([^}]*)\}/gm)].flatMap(([, isType, list = '']) =>
    list
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
      .map((item) => (isType ? `type ${item}` : item).replace(/^(type )?.* as /, '$1')),
  )
  const own = [
    ...text.matchAll(/^export (?:async )?(const|function|class|interface|type) ([A-Za-z]\w*)/gm),
  ].map(([, kind, name]) => (kind === 'interface' || kind === 'type' ? `type ${name}` : (name as string)))
  const all = [...text.matchAll(/^export \* from '\.\/(.*)'/gm)].flatMap(([, target]) =>
    namesOf(join(file, '..', target as string)),
  )
  return [...lists, ...own, ...all]
}

test('what the package exports is what exports.txt says', (t) => {
  const byName = (name: string) => name.replace(/^type /, '')
  const found = Object.entries(ENTRIES).flatMap(([entry, file]) => [
    `${entry}:`,
    ...namesOf(file)
      .sort((a, b) => byName(a).localeCompare(byName(b), 'en'))
      .map((name) => `  ${name}`),
  ])
  // A change of the public names is made on purpose: with --test-update-snapshots, and seen in the diff.
  const options = { serializers: [(lines: string[]) => `${lines.join('\n')}\n`] }
  t.assert.fileSnapshot(found, join(ROOT, 'test/exports.txt'), options)
})
