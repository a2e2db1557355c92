import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatDuration, parseBytes, parseDuration, parseTime } from './units.ts'

test('Go duration texts become milliseconds', () => {
  const golden: [string, number][] = [
    ['850.12µs', 0.85012],
    ['850.12Âµs', 0.85012],
    ['12.3ms', 12.3],
    ['1.2s', 1200],
    ['1m3s', 63_000],
    ['1h2m', 3_720_000],
    ['-1.5s', -1500],
    ['.5s', 500],
    ['100ns', 0.0001],
    ['0s', 0],
    ['0', 0],
  ]
  for (const [text, ms] of golden) assert.equal(parseDuration(text), ms, text)
})

test('what is no Go duration is none', () => {
  for (const text of ['', '12', 's', '1 s', '1.2.3s', '1x', 'NaN', '1e3ms', '--1s']) {
    assert.equal(parseDuration(text), undefined, text)
  }
})

test('durations are written in ASCII and read back to the microsecond', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e8, noNaN: true }), (ms) => {
      const text = formatDuration(ms)
      assert.match(text, /^[\dhmsu.]+$/)
      assert.ok(Math.abs((parseDuration(text) as number) - ms) <= 0.0006)
    }),
  )
})

test('durations read as Go prints them', () => {
  const golden: [number, string][] = [
    [0, '0s'],
    [-5, '0s'],
    [0.85, '850us'],
    [12.3, '12.3ms'],
    [1200, '1.2s'],
    [63_000, '1m3s'],
    [3_723_000, '1h2m3s'],
  ]
  for (const [ms, text] of golden) assert.equal(formatDuration(ms), text)
})

test('sizes need a unit and are base 2', () => {
  assert.equal(parseBytes('128M'), 134_217_728)
  assert.equal(parseBytes(' 1.5gib '), 1_610_612_736)
  assert.equal(parseBytes('7B'), 7)
  assert.equal(parseBytes('.5k'), 512)
  assert.equal(parseBytes('+2.KB'), 2048)
  assert.equal(parseBytes('1TiB'), 1024 ** 4)
  for (const text of ['128', '0M', '-1M', 'M', '1X', '', '.M', '128 M', '1e3M', '0x1M', '1MBB', '1BB', '1iB'])
    assert.throws(() => parseBytes(text), { code: 'invalid' })
})

test('a time is RFC 3339 and nothing else that a date parser would take', () => {
  assert.equal(parseTime('2026-11-24T10:00:00Z'), Date.parse('2026-11-24T10:00:00Z'))
  assert.equal(parseTime('2026-11-24T10:00:00.5+02:00'), Date.parse('2026-11-24T08:00:00.5Z'))
  for (const text of [
    undefined,
    '',
    '1',
    '2026',
    '2026-11-24',
    'Tue, 24 Nov 2026 10:00:00 GMT',
    '2026-13-24T10:00:00Z',
  ])
    assert.equal(parseTime(text), undefined, String(text))
})
