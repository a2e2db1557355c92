import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type VirtualClock, virtualClock } from '../core/clock.ts'
import { Output } from './output.ts'

const MIB = 1024 * 1024
/** Counts as 1 KiB: 256 besides its characters. */
const LINE = `${'x'.repeat(767)}\n`

interface Flood {
  readonly clock: VirtualClock
  readonly output: Output
  readonly stderr: PassThrough
  /** MiB that were handed on, once nothing more is. */
  read(): Promise<number>
}

/** A container that prints as fast as it is read, until it has printed what counts as so many MiB. */
function flood(size: number): Flood {
  const clock = virtualClock()
  const stderr = new PassThrough()
  let left = size * 1024
  const print = () => {
    while (left > 0) {
      left--
      if (!stderr.write(LINE)) break
    }
    if (left === 0) stderr.end()
  }
  stderr.on('drain', print)
  let bytes = 0
  const output = new Output(undefined, stderr, clock, (line) => {
    bytes += line.length + 1 + 256
  })
  print()
  return {
    clock,
    output,
    stderr,
    async read() {
      for (let before = -1; before !== bytes; await turn()) {
        before = bytes
        for (let turns = 0; turns < 5; turns++) await turn()
      }
      return bytes / MIB
    },
  }
}

const near = (seen: number, wanted: number) =>
  assert.ok(Math.abs(seen - wanted) < 0.2, `${seen} MiB instead of ${wanted}`)

test('a container that floods its log is read at a steady pace, and stands still in between', async () => {
  const { clock, read, stderr } = flood(10)
  near(await read(), 4)
  assert.ok(stderr.writableNeedDrain)
  for (const wanted of [5, 6, 7]) {
    clock.advance(1_000)
    near(await read(), wanted)
  }
})

test('one that prints less is never held up', async () => {
  const { read } = flood(3.5)
  near(await read(), 3.5)
})

test('what was not printed for a while may be printed at once, up to a limit', async () => {
  const clock = virtualClock()
  const stderr = new PassThrough()
  let lines = 0
  new Output(undefined, stderr, clock, () => lines++)
  for (let second = 0; second < 5; second++) {
    for (let i = 0; i < 1000; i++) stderr.write(LINE)
    for (let turns = 0; turns < 5; turns++) await turn()
    assert.equal(lines, (second + 1) * 1000)
    clock.advance(1_000)
  }
})

test('when the container has ended, all that it printed is read at once', async () => {
  const { output, read, stderr } = flood(8)
  near(await read(), 4)
  output.end()
  assert.equal(await read(), 8)
  assert.ok(stderr.readableEnded)
})
