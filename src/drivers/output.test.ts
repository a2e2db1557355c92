import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { until } from '../../test/support/until.ts'
import { virtualClock } from '../core/clock.ts'
import { holdOutput, type OutputOptions } from './output.ts'

const NOTE = /\n?\[sluice\] log limit of \d+ bytes reached, the rest is dropped\n/g

async function read(out: readonly string[], err: readonly string[], options?: OutputOptions) {
  const output = holdOutput(Readable.from(out.map(Buffer.from)), Readable.from(err.map(Buffer.from)), options)
  return Promise.all([text(output.stdout), text(output.stderr)])
}

test('without a limit everything is passed on', async () => {
  assert.deepEqual(await read(['one ', 'two'], ['three']), ['one two', 'three'])
})

describe('a log limit', () => {
  test('is said once, on a line of its own, where the log was cut', async () => {
    const [, err] = await read([], ['1234', '5678\n', 'more', 'and more'], { limit: 6 })
    assert.equal(err, '123456\n[sluice] log limit of 6 bytes reached, the rest is dropped\n')
  })

  test('is not said of a log that just fits', async () => {
    assert.deepEqual(await read([], ['12', '34'], { limit: 4 }), ['', '1234'])
  })

  test('of nothing leaves the line alone', async () => {
    const [, err] = await read([], ['12'], { limit: 0 })
    assert.equal(err, '[sluice] log limit of 0 bytes reached, the rest is dropped\n')
  })

  test('counts both streams of a hot container together', async () => {
    const chunks = fc.array(fc.string({ minLength: 1, unit: fc.constantFrom('a', 'b') }))
    await fc.assert(
      fc.asyncProperty(chunks, chunks, fc.nat(40), async (out, err, limit) => {
        const both = (await read(out, err, { limit })).join('')
        const size = out.join('').length + err.join('').length
        assert.equal(both.match(NOTE)?.length ?? 0, size > limit ? 1 : 0)
        assert.equal(both.replace(NOTE, '').length, Math.min(size, limit))
      }),
    )
  })

  test('never cuts the answer of a cold container', async () => {
    const [out, err] = await read(['a long answer'], ['a long log'], { limit: 4, cold: true })
    assert.equal(out, 'a long answer')
    assert.match(err, /^a lo\n\[sluice\]/)
  })

  test('lets a container go on writing that nobody listens to any more', async () => {
    const source = new PassThrough()
    holdOutput(source, Readable.from([]), { limit: 10 })
    const chunk = Buffer.alloc(1024 * 1024)
    for (let i = 0; i < 20; i++) {
      source.write(chunk)
      await until('the source to be read', () => source.writableLength === 0)
    }
  })
})

test('a container that writes while nobody reads has to wait', async () => {
  let given = 0
  const source = new Readable({
    read() {
      given += 64 * 1024
      this.push(Buffer.alloc(64 * 1024))
    },
  })
  const { cut } = holdOutput(source, Readable.from([]))
  await until('the source to stand still', () => source.isPaused() && given > 0)
  assert.ok(given <= 4 * 1024 * 1024, `${given} bytes were read`)
  cut()
})

test('the last words are the last 4 KiB of both, until the container is ready', async () => {
  const stdout = new PassThrough()
  const output = holdOutput(stdout, Readable.from([]))
  stdout.write(`${'x'.repeat(5_000)}last words`)
  await until('the words to arrive', () => output.tail().endsWith('last words'))
  assert.equal(output.tail().length, 4096)
  output.started()
  assert.equal(output.tail(), '')
  output.cut()
})

test('what was written stays readable after the end', async () => {
  const stdout = new PassThrough()
  const output = holdOutput(stdout, new PassThrough())
  stdout.write('kept')
  await until('the words to arrive', () => output.tail() === 'kept')
  output.cut()
  assert.equal(await text(output.stdout), 'kept')
})

test('a reader that is behind gets everything; a pipe that is held and silent ends after a second', async () => {
  const clock = virtualClock()
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const output = holdOutput(stdout, stderr)
  stdout.write('kept')
  await until('the words to arrive', () => output.tail() === 'kept')
  output.ended(clock)
  clock.advance(5_000)
  assert.ok(!stdout.destroyed, 'nobody has read it yet')
  assert.ok(stderr.destroyed)
  stdout.write(' and more')
  await until('the rest to arrive', () => output.tail() === 'kept and more')
  const read = text(output.stdout)
  await until('the reader to have it', () => output.stdout.readableLength === 0)
  clock.advance(1_000)
  clock.advance(1_000)
  assert.equal(await read, 'kept and more')
})
