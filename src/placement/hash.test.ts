import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Hash64, hashText, jumpHash, sipHash } from './hash.ts'

const hex = ({ hi, lo }: Hash64) => hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0')
const split = (value: bigint): Hash64 => ({ hi: Number(value >> 32n), lo: Number(value & 0xffffffffn) })

test('gives the official SipHash-2-4 vector', () => {
  const k0 = { hi: 0x07060504, lo: 0x03020100 }
  const k1 = { hi: 0x0f0e0d0c, lo: 0x0b0a0908 }
  const message = Uint8Array.from({ length: 15 }, (_, i) => i)
  assert.equal(hex(sipHash(message, k0, k1)), 'a129ca6149be45e5')
})

test('hashes texts as the balancers of 2017 do', () => {
  const vectors = {
    a: '604b22e2a73bf95d',
    b: '78fc2c7058a2289d',
    c: 'f95e628db5b55062',
    '/r/myapp/hello': '48ace58778eef077',
    '/version': 'bd37c95e1903a741',
    '/v1/apps': '1226ed1c4c03a60a',
  }
  for (const [text, hash] of Object.entries(vectors)) assert.equal(hex(hashText(text)), hash, text)
})

test('jumps to the published buckets for 2, 3, 4, 5 and 10 nodes', () => {
  const buckets = {
    '/r/myapp/hello': [0, 0, 3, 4, 4],
    a: [1, 1, 3, 3, 8],
    b: [0, 0, 0, 0, 0],
    c: [0, 0, 3, 3, 3],
  }
  for (const [text, expected] of Object.entries(buckets))
    assert.deepEqual(
      [2, 3, 4, 5, 10].map((count) => jumpHash(hashText(text), count)),
      expected,
      text,
    )
})

test('jumps as the paper says with 64-bit integers', () => {
  const paper = (key: bigint, buckets: number): number => {
    let bucket = -1
    let next = 0
    while (next < buckets) {
      bucket = next
      key = (key * 2862933555777941757n + 1n) & 0xffffffffffffffffn
      next = Number((BigInt(bucket + 1) << 31n) / ((key >> 33n) + 1n))
    }
    return bucket
  }
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      fc.integer({ min: 1, max: 2_000 }),
      (key, buckets) => {
        assert.equal(jumpHash(split(key), buckets), paper(key, buckets))
      },
    ),
  )
})

test('a new last bucket takes keys but moves no other', () => {
  for (let i = 0; i < 1_000; i++) {
    const hash = hashText(`key ${i}`)
    for (let count = 1; count < 12; count++) {
      const after = jumpHash(hash, count + 1)
      assert.ok(after === jumpHash(hash, count) || after === count)
    }
  }
})
