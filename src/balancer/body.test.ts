import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Body, bodyOf, MAX_KEPT, type Sink, type Source } from './body.ts'

/** A client that sends pieces when told to, but for a little more never while it is held back. */
class Sender implements Source {
  readonly length: number | undefined
  readonly #pieces: Uint8Array[]
  #sink: Sink | undefined
  #flows = false
  #late: number
  #ended = false

  constructor(pieces: readonly Uint8Array[], length: number | undefined, late = 0) {
    this.#pieces = [...pieces]
    this.length = length
    this.#late = late
  }

  to(sink: Sink): void {
    this.#sink = sink
  }

  resume(): void {
    this.#flows = true
  }

  pause(): void {
    this.#flows = false
  }

  /** Sends the next piece, or the end. */
  step(): void {
    if (!this.#sink || this.#ended) return
    if (!this.#flows && this.#late-- <= 0) return
    const piece = this.#pieces.shift()
    if (piece) this.#sink.data(piece)
    else {
      this.#ended = true
      this.#sink.end()
    }
  }

  get done(): boolean {
    return this.#ended
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Everything that a stream gives from now on. */
function collect(stream: Readable): { bytes(): Buffer; ended: boolean; error?: Error } {
  const chunks: Buffer[] = []
  const heard = { bytes: () => Buffer.concat(chunks), ended: false } as ReturnType<typeof collect>
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => {
    heard.ended = true
  })
  stream.on('error', (error) => {
    heard.error = error
  })
  return heard
}

function piecesOf(sizes: readonly number[]): Buffer[] {
  let next = 0
  return sizes.map((size) => Buffer.from(Array.from({ length: size }, () => next++ % 251)))
}

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1_000, max: 40_000 })), {
  maxLength: 12,
})
/** What happens one after another: a piece comes, the node reads, another node is asked, nothing for a turn. */
const events = fc.array(fc.constantFrom('send', 'send', 'read', 'again', 'turn'), { maxLength: 40 })

describe('the body of a request', () => {
  test('reaches the last node byte for byte, whatever others have read of it and when they refused', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, events, fc.integer({ min: 0, max: 3 }), async (sizes, events, late) => {
        const pieces = piecesOf(sizes)
        const whole = Buffer.concat(pieces)
        const sender = new Sender(pieces, undefined, late)
        const body = bodyOf(sender, 0)
        let out = streamOf(body)
        let heard: ReturnType<typeof collect> | undefined
        for (const event of events) {
          if (event === 'send') sender.step()
          else if (event === 'turn') await turn()
          else if (event === 'read') heard ??= collect(out)
          else if (body.replayable) {
            assertPrefix(heard?.bytes(), whole)
            out = streamOf(body)
            heard = undefined
          }
        }
        heard ??= collect(out)
        while (!heard.ended) {
          sender.step()
          await turn()
        }
        assert.ok(heard.bytes().equals(whole), `${heard.bytes().length} bytes of ${whole.length}`)
      }),
    )
  })

  test('is held back until its node reads, and no more than what is kept is stored', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 30_000 }), async (size) => {
        const sender = new Sender(piecesOf(new Array(20).fill(size)), undefined)
        const body = bodyOf(sender, 0)
        const out = streamOf(body)
        for (let i = 0; i < 30; i++) sender.step()
        assert.equal(out.readableLength, 0, 'nothing before it is asked for')
        out.read(0)
        for (let i = 0; i < 30; i++) {
          sender.step()
          await turn()
        }
        assert.ok(out.readableLength < MAX_KEPT + size, `${out.readableLength}`)
      }),
      { numRuns: 20 },
    )
  })

  test('can be sent again as long as all of it is kept', async () => {
    const sender = new Sender(piecesOf([MAX_KEPT, 1]), undefined)
    const body = bodyOf(sender, 0)
    const heard = collect(streamOf(body))
    await turn()
    sender.step()
    assert.equal(body.replayable, true)
    await turn()
    sender.step()
    assert.equal(body.replayable, false)
    while (!heard.ended) {
      sender.step()
      await turn()
    }
    assert.equal(heard.bytes().length, MAX_KEPT + 1)
  })

  test('beyond the limit fails, for every attempt', async () => {
    const sender = new Sender(piecesOf([600, 600]), undefined)
    const body = bodyOf(sender, 1_000)
    const first = collect(streamOf(body))
    for (let i = 0; i < 3; i++) {
      await turn()
      sender.step()
    }
    await turn()
    const second = collect(streamOf(body))
    await turn()
    for (const { error } of [first, second]) assert.equal(error && 'code' in error && error.code, 'too-large')
    assert.throws(() => bodyOf(new Sender([], 1_001), 1_000), { code: 'too-large' })
  })

  test('that nobody wants is read to its end', async () => {
    const sender = new Sender(piecesOf([10, 10]), undefined)
    const body = bodyOf(sender, 0)
    collect(streamOf(body))
    body.drop()
    for (let i = 0; i < 5; i++) sender.step()
    assert.equal(sender.done, true)
  })

  test('of a small announced length is sent in one piece when it is whole', () => {
    const sender = new Sender(piecesOf([3, 4]), 7)
    const body = bodyOf(sender, 0)
    let ready = false
    body.whenReady(() => {
      ready = true
    })
    for (let i = 0; i < 2; i++) sender.step()
    assert.equal(ready, false)
    sender.step()
    assert.equal(ready, true)
    for (let i = 0; i < 2; i++) assert.equal((body.open() as Uint8Array).length, 7)
  })
})

function streamOf(body: Body): Readable {
  const out = body.open()
  assert.ok(out instanceof Readable)
  return out
}

function assertPrefix(got: Buffer | undefined, whole: Buffer): void {
  if (got) assert.ok(got.equals(whole.subarray(0, got.length)))
}
