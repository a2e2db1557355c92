import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ERRORS, type ErrorCode, originOf, SluiceError, shortageOf } from './errors.ts'

const ROWS = Object.entries(ERRORS) as [ErrorCode, (typeof ERRORS)[ErrorCode]][]
const OF_CALLS = ROWS.filter(([, row]) => row.of !== undefined)

test('only what has not started may go elsewhere, and never what is the function’s or the caller’s', () => {
  for (const [code, { of, started, reject, status }] of OF_CALLS) {
    if (reject === undefined) continue
    assert.equal(started, undefined, code)
    assert.equal(status, 503, code)
    assert.ok(of !== 'function' && of !== 'caller', code)
  }
})

test('what the machine lacks is the platform’s, has not started the call, and is a refusal', () => {
  for (const [code, { of = 'caller', reject }] of OF_CALLS)
    if (['engine', 'disk', 'descriptors', 'store', 'registry'].includes(of)) {
      assert.ok(reject, code)
      assert.equal(originOf(code), 'platform', code)
    }
})

test('an error is the function’s in the answer, in the exit code and in the table alike', () => {
  for (const [code, { of, exit, status }] of ROWS) {
    assert.equal(exit === 6, of === 'function', code)
    assert.equal(originOf(code) === 'function', of === 'function', code)
    if (of === 'function') assert.ok(status === 502 || status === 504, code)
  }
})

test('a shortage is found at the bottom of whatever was made of it', () => {
  const of = (code: string) => Object.assign(new Error('system'), { code })
  assert.equal(shortageOf(of('ENOSPC')), 'no-space')
  assert.equal(shortageOf(of('EDQUOT')), 'no-space')
  assert.equal(shortageOf(new Error('outer', { cause: of('EMFILE') })), 'no-descriptors')
  const wrapped = new SluiceError('no-image', undefined, { cause: new Error('x', { cause: of('ENFILE') }) })
  assert.equal(shortageOf(wrapped), 'no-descriptors')
  for (const other of [of('ENOENT'), new Error('ENOSPC'), undefined, 'ENOSPC', { code: 'ENOSPC' }])
    assert.equal(shortageOf(other), undefined)
  const circle = new Error('circle')
  circle.cause = circle
  assert.equal(shortageOf(circle), undefined)
})

/** The table of docs/faults.md, as it should be. */
function documented(): string {
  const head = ['code', 'whose fault', 'started', '`Fn-Origin`', '`Fn-Reject`', 'status', '`message`']
  const rows = OF_CALLS.map(([code, { of, started, reject, status, message }]) => [
    `\`${code}\``,
    of as string,
    started ? 'maybe' : 'no',
    originOf(code),
    reject ?? '',
    String(status),
    message,
  ])
  const all = [head, ...rows]
  const widths = head.map((_, i) => Math.max(...all.map((row) => (row[i] as string).length)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] as number)).join(' | ')} |`
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

test('docs/faults.md has the table', () => {
  const text = readFileSync(new URL('../../docs/faults.md', import.meta.url), 'utf8')
  assert.ok(text.includes(documented()), `docs/faults.md should hold:\n${documented()}`)
})
