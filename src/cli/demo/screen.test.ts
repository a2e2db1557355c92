import assert from 'node:assert/strict'
import { PassThrough, Writable } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { until } from '../../../test/support/until.ts'
import { virtualClock } from '../../core/clock.ts'
import type { Io } from '../io.ts'
import type { NodeFigures } from './figures.ts'
import { Screen, tableOf } from './screen.ts'

const node = (name: string, calls: number): NodeFigures => ({
  ...{ name, calls, running: 4, queued: 120, waitMs: 1_234.5, starts: 12 },
})
const figures = [node('127.0.0.1:45293', 12_345), node('127.0.0.1:1', 0), node('127.0.0.1:33333', 600)]

test('no line of the table is as long as the terminal is wide', () => {
  fc.assert(
    fc.property(fc.integer({ min: 20, max: 200 }), fc.nat(1e6), (width, calls) => {
      const table = tableOf([...figures, node('127.0.0.1:55555', calls)], width)
      const widths = (table[0] ?? []).map((_, at) => Math.max(...table.map((row) => (row[at] ?? '').length)))
      assert.ok(widths.reduce((sum, each) => sum + each + 2, -2) < width)
    }),
  )
})

test('with 80 columns nothing is left out, and the busiest node fills the bar', () => {
  const [heads, busiest, idle] = tableOf(figures, 80)
  assert.deepEqual(heads, ['NODE', 'CALLS', '', 'RUN', 'QUEUE', 'WAIT', 'STARTS'])
  assert.match(busiest?.[2] ?? '', /^█{10,}$/)
  assert.match(idle?.[2] ?? '', /^ +$/)
})

/** What a terminal of some width shows after a text: lines that are too long are broken, as a terminal does. */
function shown(text: string, width: number): string[] {
  const lines: string[] = ['']
  for (const part of text.replaceAll('\x1b[J', '').split('\x1b[').entries()) {
    const [index, words] = part
    const up = index > 0 ? Number.parseInt(words, 10) : 0
    lines.splice(lines.length - 1 - up, up)
    for (const letter of index > 0 ? words.slice(words.indexOf('A') + 1) : words) {
      if (letter === '\n' || (lines.at(-1) as string).length === width) lines.push('')
      if (letter !== '\n') lines[lines.length - 1] += letter
    }
  }
  return lines
}

for (const width of [80, 60, 40])
  test(`a table that is drawn again leaves no line behind at ${width} columns`, async () => {
    let text = ''
    const stdout = Object.assign(
      new Writable({
        write(chunk, _encoding, done) {
          text += chunk
          done()
        },
      }),
      { columns: width },
    )
    const clock = virtualClock()
    const io: Io = {
      ...{ stdin: new PassThrough(), stdout, stderr: stdout, cwd: '/', clock, env: { NO_COLOR: '1' } },
      ...{ signal: new AbortController().signal, isTTY: { stdin: true, stdout: true, stderr: true } },
    }
    let finish = () => {}
    const work = new Promise<void>((resolve) => {
      finish = resolve
    })
    let draws = 0
    const running = new Screen(io, 'stdout').during(work, clock, async () => {
      draws++
      return figures
    })
    await until('the table to be drawn five times', () => {
      clock.advance(250)
      return draws >= 5
    })
    finish()
    await running
    assert.equal(shown(text, width).filter((line) => line.startsWith('NODE')).length, 1)
    assert.equal(shown(text, width).length, figures.length + 2) // heads, and where the cursor is
  })
