import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatRecord, readRecord } from './record.ts'

const keys = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 100 }), { maxLength: 60 })
const mapOf = (keys: readonly string[]) => Object.fromEntries(keys.map((key) => [`k${key}`, 'x']))

test('what a record notes is read back, in values that a server takes', () => {
  fc.assert(
    fc.property(keys, keys, (config, annotations) => {
      const func = { name: 'f', triggers: [], config: mapOf(config), annotations: mapOf(annotations) }
      const record = formatRecord(func)
      for (const value of Object.values(record))
        assert.ok(Buffer.byteLength(JSON.stringify(value)) <= 512, JSON.stringify(value))
      const { config: ours, annotations: theirs } = readRecord({ ...record, other: ['config.NO'] })
      assert.deepEqual(ours.toSorted(), Object.keys(func.config).sort())
      assert.deepEqual(theirs.toSorted(), Object.keys(func.annotations).sort())
    }),
  )
})

test('a key that is too long for a note is left out', () => {
  const config = { ['K'.repeat(600)]: 'x', SHORT: 'y' }
  assert.deepEqual(formatRecord({ name: 'f', triggers: [], config }), {
    'sluice/func.yaml/1': ['config.SHORT'],
  })
})
