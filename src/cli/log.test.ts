import assert from 'node:assert/strict'
import { PassThrough, Writable } from 'node:stream'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { systemClock } from '../core/clock.ts'
import { lineLog } from '../core/log-sink.ts'
import type { Io } from './io.ts'
import { openLog } from './log.ts'

test('on a terminal the line of a function says whose it is: app, function, and the call', () => {
  let seen = ''
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      seen += chunk
      done()
    },
  })
  const io = {
    ...{ stdin: new PassThrough(), stdout: new PassThrough(), stderr, env: {}, cwd: '/' },
    signal: new AbortController().signal,
    isTTY: { stdin: false, stdout: false, stderr: true },
    clock: systemClock,
  } satisfies Io
  const { write } = lineLog(openLog(io, 'info'))
  const line = {
    at: 0,
    app: { id: 'APP', name: 'shop' },
    fn: { id: 'FN', name: 'cart', image: 'image' },
    container: 'BOX',
    shared: false,
    stream: 'stderr',
  } as const
  write({ ...line, callId: 'CALL', text: 'Error: no' })
  write({ ...line, callId: undefined, text: 'between calls' })
  const lines = stripVTControlCharacters(seen).split('\n')
  assert.deepEqual(
    lines.map((text) => text.slice('00:00:00 '.length)),
    ['shop/cart CALL │ Error: no', 'shop/cart │ between calls', ''],
  )
})
