import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import fc from 'fast-check'
import { splitFrames } from './frames.ts'

type Frame = readonly [stream: 1 | 2, bytes: Uint8Array]

function encode(frames: readonly Frame[]): Buffer {
  return Buffer.concat(
    frames.flatMap(([stream, bytes]) => {
      const head = Buffer.alloc(8)
      head[0] = stream
      head.writeUInt32BE(bytes.length, 4)
      return [head, Buffer.from(bytes)]
    }),
  )
}

const cut = (bytes: Buffer, size: number) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

const both = async (chunks: readonly Buffer[]) => {
  const { stdout, stderr, ended } = splitFrames(Readable.from(chunks))
  const all = await Promise.all([buffer(stdout), buffer(stderr)])
  await ended
  return all
}

test('both streams come out whole, wherever the chunks are cut', async () => {
  const frame = fc.tuple(fc.constantFrom(1 as const, 2 as const), fc.uint8Array({ maxLength: 40 }))
  await fc.assert(
    fc.asyncProperty(
      fc.array(frame, { maxLength: 20 }),
      fc.integer({ min: 1, max: 50 }),
      async (frames, size) => {
        const of = (stream: 1 | 2) =>
          Buffer.concat(frames.filter(([which]) => which === stream).map(([, bytes]) => bytes))
        assert.deepEqual(await both(cut(encode(frames), size)), [of(1), of(2)])
      },
    ),
  )
})

test('a chunk of very many small frames is fine', async () => {
  const frames = Array.from({ length: 50_000 }, (): Frame => [1, Buffer.from('x')])
  const [stdout] = await both([encode(frames)])
  assert.equal(stdout.length, 50_000)
})

test('a connection that breaks ends both streams', async () => {
  const source = new Readable({ read() {} })
  const { stdout, stderr } = splitFrames(source)
  const all = Promise.all([buffer(stdout), buffer(stderr)])
  source.push(encode([[2, Buffer.from('half')]]).subarray(0, 10))
  setImmediate(() => source.destroy(new Error('reset')))
  assert.deepEqual((await all).map(String), ['', 'ha'])
})

test('a stream that nobody wants does not hold up the other', async () => {
  const frames = [1, 2].map((stream): Frame => [stream as 1 | 2, Buffer.alloc(100_000)])
  const { stdout, stderr } = splitFrames(Readable.from([encode(frames), encode(frames)]))
  stdout.destroy()
  assert.equal((await buffer(stderr)).length, 200_000)
})

test('it reads no faster than it is read', async () => {
  let produced = 0
  const source = Readable.from(
    (function* () {
      for (; produced < 1_000; produced++) yield encode([[1, Buffer.alloc(65_536)]])
    })(),
  )
  const { stdout } = splitFrames(source)
  await new Promise((resolve) => stdout.once('readable', resolve))
  assert.ok(produced < 100, `${produced} chunks`)
  stdout.destroy()
  source.destroy()
})
