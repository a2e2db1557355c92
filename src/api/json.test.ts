import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anything, count, readBody, text, texts, time, values, whole } from './json.ts'

const FIELDS = {
  name: text,
  size: whole,
  memory: count,
  config: texts,
  notes: values,
  at: time,
  any: anything,
}
const read = (body: string) => readBody(Buffer.from(body), FIELDS)

test('only the first JSON value counts', () => {
  for (const rest of ['', ' ', '\n', '{"name":"b"}', ' garbage }}', '\u0000'])
    assert.deepEqual(read(` \t\r\n{"name":"a","notes":{"x":["}{",{"y":"\\"}"}]}}${rest}`), {
      name: 'a',
      notes: { x: ['}{', { y: '"}' }] },
    })
})

test('names match in any case, the last one counts, unknown ones are ignored', () => {
  assert.deepEqual(read('{"NAME":"a","Name":"b","nAmE":"c","other":[1,{}]}'), { name: 'c' })
})

test('null is the same as absent', () => {
  assert.deepEqual(read('{"name":null,"size":null,"config":null,"any":null}'), {})
  assert.deepEqual(read('null'), {})
  assert.deepEqual(read('{"config":{"a":null}}'), { config: { a: '' } })
})

test('what is no object, is broken or has a wrong type is Invalid JSON, with the reason', () => {
  for (const [body, detail] of [
    ['', /got nothing/],
    ['   ', /got nothing/],
    ['nullify', /object/],
    ['[]', /object/],
    ['"text"', /object/],
    ['1', /object/],
    ['\ufeff{}', /object/],
    ['{', /without an end/],
    ['{"name":"a', /without an end/],
    ['{]', /JSON/],
    ['{"name":a}', /JSON/],
    ["{'name':'a'}", /JSON/],
    ['{"name":7}', /^name must be a string, got 7$/],
    ['{"size":1.5}', /^size must be a whole number, got 1.5$/],
    ['{"size":"1"}', /^size must be/],
    ['{"size":1e300}', /^size must be/],
    ['{"memory":-1}', /^memory must be/],
    ['{"config":{"a":1}}', /^config must be/],
    ['{"config":[]}', /^config must be/],
    ['{"notes":"a"}', /^notes must be/],
    ['{"at":"yesterday"}', /^at must be/],
    ['{"at":"2019-13-11T10:00:00Z"}', /^at must be/],
    ['{"at":7}', /^at must be/],
    [`{"notes":${'['.repeat(100_000)}`, /nest/],
  ] as const)
    assert.throws(
      () => read(body),
      { code: 'invalid-json', message: 'Invalid JSON', detail },
      body.slice(0, 40),
    )
  assert.throws(() => readBody(undefined, FIELDS), { code: 'invalid-json' })
})

test('a time of year 1 is no time, others come in any precision', () => {
  for (const none of ['', '0001-01-01T00:00:00.000Z', '0001-01-01T00:00:00Z'])
    assert.deepEqual(read(JSON.stringify({ at: none })), { at: '' })
  for (const at of ['2019-04-11T10:00:00Z', '2019-04-11T10:00:00.123456789Z', '2019-04-11T10:00:00.1+02:00'])
    assert.deepEqual(read(JSON.stringify({ at })), { at })
})

test('odd text stays text', () => {
  assert.deepEqual(read('{"name":"\\ud800"}'), { name: '\ufffd' })
  const { config } = read('{"config":{"__proto__":"a","constructor":"b"}}')
  assert.deepEqual(Object.entries(config ?? {}), [
    ['__proto__', 'a'],
    ['constructor', 'b'],
  ])
})

test('any JSON object is read as JSON.parse reads it, whatever follows', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), (object, rest) => {
      const json = JSON.stringify(object)
      const { any } = readBody(Buffer.from(`{"any":${json}}${rest}`), FIELDS)
      assert.deepEqual(any, JSON.parse(json))
    }),
  )
})
