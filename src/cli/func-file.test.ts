import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { writeFiles } from '../../test/support/files.ts'
import { tempDir } from '../../test/support/temp.ts'
import { FN_SETTINGS } from '../core/words.ts'
import { parseFuncFile, readFuncFile } from './func-file.ts'

const parse = (text: string) => parseFuncFile(text, 'func.yaml', 'folder')

test('everything that a func file may say is read', () => {
  const { func, warnings } = parse(`
schema_version: 20180708
name: hello
version: 0.0.7
runtime: node
build_image: fnproject/node:dev
entrypoint: node func.js
memory: 256
timeout: 60
idle_timeout: 90
content_type: application/json
config: { PORT: 8080, DEBUG: true, NAME: Ada }
annotations: { team: { name: blue } }
format: http
cpus: 0.5
tmpfs_size: 64
concurrency: 4
max_concurrency: 8
start_timeout: 2.5
max_wait: 10
min_warm: 1
async: false
network: true
triggers:
  - { name: a, type: http, source: /a }
  - { name: b, source: /b }
`)
  assert.deepEqual(warnings, [])
  assert.deepEqual(func, {
    name: 'hello',
    version: '0.0.7',
    runtime: 'node',
    memory: 256,
    timeout: 60,
    idle_timeout: 90,
    content_type: 'application/json',
    config: { PORT: '8080', DEBUG: 'true', NAME: 'Ada' },
    annotations: { team: { name: 'blue' } },
    format: 'http',
    cpus: 0.5,
    tmpfs_size: 64,
    concurrency: 4,
    max_concurrency: 8,
    start_timeout: 2.5,
    max_wait: 10,
    min_warm: 1,
    async: false,
    network: true,
    triggers: [
      { name: 'a', type: 'http', source: '/a' },
      { name: 'b', type: 'http', source: '/b' },
    ],
  })
})

test('an empty file is a function named like its folder', () => {
  assert.deepEqual(parse('').func, { name: 'folder', triggers: [] })
})

test('a key with nothing after it is left out', () => {
  assert.deepEqual(parse('config:\nmemory:\ntriggers:').func, { name: 'folder', triggers: [] })
})

test('the default of every setting is a value that the file may hold', () => {
  assert.deepEqual(parse(stringify(FN_SETTINGS)).func, { name: 'folder', ...FN_SETTINGS, triggers: [] })
})

test('an unknown key is ignored with a warning that names the nearest one', () => {
  const { func, warnings } = parse(
    'memmory: 5\nidleTimeout: 3\nzebra: 1\ntriggers: [{name: a, sourc: /b, source: /a}]',
  )
  assert.deepEqual(Object.keys(func), ['name', 'triggers'])
  assert.deepEqual(warnings, [
    'func.yaml: unknown key memmory is ignored; did you mean memory?',
    'func.yaml: unknown key idleTimeout is ignored; did you mean idle_timeout?',
    'func.yaml: unknown key zebra is ignored',
    'func.yaml: unknown key triggers[0].sourc is ignored; did you mean triggers[0].source?',
  ])
})

const wrong: Readonly<Record<string, readonly [rule: string, value: string]>> = {
  'memory: lots': ['memory must be a whole number from 1 to 8192', '"lots"'],
  'memory: 0': ['memory must be a whole number from 1 to 8192', '0'],
  'timeout: 301': ['timeout must be a whole number from 1 to 300', '301'],
  'idle_timeout: 1.5': ['idle_timeout must be a whole number from 1 to 3600', '1.5'],
  'name: [a]': ['name must be a text', '["a"]'],
  'config: [a]': ['config must be a map of texts', '["a"]'],
  'config: {a: {b: c}}': ['config must be a map of texts', '{"a":{"b":"c"}}'],
  'annotations: {a: ""}': ['annotations must be a map of values, none of them empty', '{"a":""}'],
  'format: json': ['format must be one of http-stream, http, default, port', '"json"'],
  'async: true': ['async must be false: calls that are answered before they run do not work yet', 'true'],
  'network: 1': ['network must be true or false', '1'],
  'cpus: -1': ['cpus must be a number of 0 or more', '-1'],
  'concurrency: 0': ['concurrency must be a whole number of 1 or more', '0'],
  'triggers: {name: a}': ['triggers must be a list of name, type, source', '{"name":"a"}'],
  'triggers: [{name: a, source: b}]': ['triggers[0].source must be a path that starts with "/"', '"b"'],
  'triggers: [{name: a, source: /b, type: cron}]': ['triggers[0].type must be http', '"cron"'],
}
for (const [text, [message, value]] of Object.entries(wrong))
  test(`"${text}" is refused with its rule and value`, () => {
    const error = { code: 'invalid', message: `func.yaml: ${message}`, detail: `got ${value}` }
    assert.throws(() => parse(text), error)
  })

test('a trigger without a name or source is refused', () => {
  assert.throws(() => parse('triggers: [{source: /a}]'), {
    message: 'func.yaml: triggers[0].name is missing',
  })
  assert.throws(() => parse('triggers: [{name: a}]'), { message: 'func.yaml: triggers[0].source is missing' })
})

test('what is no YAML is refused with its line', () => {
  assert.throws(() => parse('a: 1\nb: [1'), { code: 'invalid', detail: /line 2/ })
  assert.throws(() => parse('- a'), { code: 'invalid', message: 'func.yaml must hold keys and values' })
})

test('any text is either read or refused with a SluiceError', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map((value) => stringify(value)),
      ),
      (text) => {
        try {
          parse(text)
        } catch (error) {
          assert.equal((error as { code: unknown }).code, 'invalid')
        }
      },
    ),
  )
})

test('without a func file the function has the name of its folder', async () => {
  await using dir = await tempDir()
  const read = await readFuncFile(dir.path)
  assert.deepEqual(read, {
    func: { name: basename(dir.path), triggers: [] },
    path: undefined,
    warnings: [],
  })
})

test('func.yml is read as well', async () => {
  await using dir = await tempDir()
  await writeFiles(dir.path, { 'func.yml': 'name: short' })
  assert.equal((await readFuncFile(dir.path)).func.name, 'short')
})
