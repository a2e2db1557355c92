import assert from 'node:assert/strict'
import { request } from 'node:http'
import { duplexPair } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { MAX_HEAD, MAX_LINES, type ResponseHead, ResponseParser } from './response-parser.ts'

interface Reading {
  readonly head: ResponseHead | undefined
  readonly body: string
  readonly complete: boolean
  readonly fault: string | undefined
  /** Bytes after the end of the answer. */
  readonly left: number
}

function read(chunks: readonly Buffer[], ends = false): Reading {
  let head: ResponseHead | undefined
  let body = ''
  let left = 0
  const parser = new ResponseParser({
    head(value) {
      assert.equal(head, undefined, 'one head')
      head = value
    },
    data(piece) {
      assert.ok(head && piece.length > 0)
      body += piece.toString('latin1')
    },
  })
  for (const chunk of chunks) left += chunk.length - parser.push(chunk)
  if (ends) parser.finish()
  const { complete, fault } = parser
  return { head, body, complete, fault: fault && `${fault.code}: ${fault.detail}`, left }
}

const readText = (text: string, ends = false) => read([Buffer.from(text, 'latin1')], ends)
const ok = 'HTTP/1.1 200 OK\r\n'
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`

describe('a well-formed answer', () => {
  test('with a length ends there', () => {
    const { head, body, complete, left } = readText(`${ok}Content-Length: 5\r\nX-A: 1\r\n\r\nhellomore`)
    assert.deepEqual(head, {
      status: 200,
      headers: ['Content-Length', '5', 'X-A', '1'],
      framing: 'length',
      length: 5,
    })
    assert.deepEqual([body, complete, left], ['hello', true, 4])
  })

  test('of length zero is over with its head', () => {
    const { body, complete, left } = readText(`${ok}Content-Length: 0\r\n\r\n`)
    assert.deepEqual([body, complete, left], ['', true, 0])
  })

  test('in chunks ends with its trailers, which are dropped', () => {
    const text = `${chunked}5;name="v"\r\nhello\r\n00A\r\n, you there\r\n`.replace('there', 'all.')
    const { head, body, complete, left } = readText(`${text}000\r\nX-Sum: 1\r\n\r\nHTTP`)
    assert.deepEqual([head?.framing, head?.length, head?.headers.length], ['chunked', undefined, 2])
    assert.deepEqual([body, complete, left], ['hello, you all.'.padEnd(15), true, 4])
  })

  test('without a length goes on to the end of the stream', () => {
    const text = `${ok}\r\nhel\r\n0\r\nlo`
    assert.equal(readText(text).complete, false)
    const { body, complete } = readText(text, true)
    assert.deepEqual([body, complete], ['hel\r\n0\r\nlo', true])
  })

  test('without content has no body, whatever its head says', () => {
    for (const status of ['204 No Content', '304 Not Modified']) {
      for (const field of ['', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n']) {
        const { head, complete, left } = readText(`HTTP/1.1 ${status}\r\n${field}\r\nabc`)
        assert.deepEqual([head?.framing, head?.length, complete, left], ['none', undefined, true, 3])
      }
    }
  })

  test('may be announced by interim ones', () => {
    const interim = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n'
    const { head, body } = readText(`HTTP/1.1 100 Continue\r\n\r\n${interim}${ok}Content-Length: 1\r\n\r\nx`)
    assert.deepEqual([head?.headers, body], [['Content-Length', '1'], 'x'])
  })

  test('may be HTTP/1.0', () => {
    assert.equal(readText('HTTP/1.0 404 Not Found\r\nContent-Length: 1\r\n\r\nx').head?.status, 404)
  })

  test('keeps the bytes of its values, without the spaces around them', () => {
    const value = Buffer.from('à').toString('latin1') // its last byte is what latin-1 calls a no-break space
    const { head } = readText(`${ok}X-A: \t ${value} \t\r\nX-B:\r\nX-C:a: b\r\nContent-Length: 0\r\n\r\n`)
    assert.deepEqual(head?.headers.slice(0, 6), ['X-A', value, 'X-B', '', 'X-C', 'a: b'])
  })

  test('may end the lines of its head in a bare LF and leave out the reason, as a shell prints them', () => {
    const { head, body, complete } = readText('HTTP/1.1 201\nContent-Length: 3\r\nX-A: 1\n\nabc')
    assert.deepEqual([head?.status, head?.headers.length, body, complete], [201, 4, 'abc', true])
  })
})

describe('refused at once is', () => {
  const faults: readonly (readonly [what: string, text: string, fault: RegExp])[] = [
    ['what starts like no answer', 'Hello', /does not start with HTTP\/1\.1/],
    ['an empty line before the answer', '\r\nHTTP', /does not start with/],
    ['another protocol', 'HTTP/2 ', /does not start with/],
    ['a version that there is not', 'HTTP/1.7 200 OK\r\n', /status line/],
    ['a status that is none', 'HTTP/1.1 20 OK\r\n', /status line/],
    ['a status beyond 599', 'HTTP/1.1 600 X\r\n', /status line/],
    ['a status line without a space', 'HTTP/1.1200 OK\r\n', /status line/],
    ['a switch of protocols', 'HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n', /switches protocols/],
    ['a folded header', `${ok}X-A: 1\r\n 2\r\n`, /folded/],
    ['a header folded by a tab', `${ok}\tX-A: 1\r\n`, /folded/],
    ['a header without a colon', `${ok}X-A\r\n`, /header line/],
    ['a header without a name', `${ok}: 1\r\n`, /header line/],
    ['a space before the colon', `${ok}X-A : 1\r\n`, /header line/],
    ['NUL in a value', `${ok}X-A: a\0b\r\n`, /control character/],
    ['CR in a value', `${ok}X-A: a\rX-B: b\r\n`, /control character/],
    ['two CRs at the end of a line', `${ok}X-A: a\r\r\n`, /control character/],
    ['an escape in the reason', 'HTTP/1.1 200 \x1b[0m\r\n', /control character/],
    ['a repeated length', `${ok}Content-Length: 1\r\ncontent-length: 1\r\n\r\n`, /more than one/],
    ['a list of lengths', `${ok}Content-Length: 1, 1\r\n\r\n`, /no length/],
    ['a negative length', `${ok}Content-Length: -1\r\n\r\n`, /no length/],
    ['a length with a sign', `${ok}Content-Length: +1\r\n\r\n`, /no length/],
    ['a length in hexadecimal', `${ok}Content-Length: 0x1\r\n\r\n`, /no length/],
    ['an empty length', `${ok}Content-Length:\r\n\r\n`, /no length/],
    ['a length beyond all numbers', `${ok}Content-Length: ${'9'.repeat(16)}\r\n\r\n`, /no length/],
    ['a length beside chunks', `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, /both/],
    ['another encoding', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`, /not chunked/],
    ['a repeated encoding', `${chunked.slice(0, -2)}Transfer-Encoding: chunked\r\n\r\n`, /not chunked/],
    ['chunks of HTTP/1.0', chunked.replace('1.1', '1.0'), /HTTP\/1\.0/],
    ['a chunk without a size', `${chunked}\r\n`, /size of a chunk/],
    ['a size that is no number', `${chunked}5x\r\n`, /size of a chunk/],
    ['a size with a prefix', `${chunked}0x5\r\n`, /size of a chunk/],
    ['a size with a space', `${chunked}5 \r\n`, /size of a chunk/],
    ['a size of too many digits', `${chunked}${'0'.repeat(13)}1\r\n`, /size of a chunk/],
    ['a size that ends in a bare LF', `${chunked}5\n`, /without CR/],
    ['an extension without a name', `${chunked}5;\r\n`, /size of a chunk/],
    ['a long extension', `${chunked}5;${'x'.repeat(256)}\r\n`, /line of a chunk/],
    ['an extension without an end', `${chunked}5;${'x'.repeat(400)}`, /line of a chunk/],
    ['a chunk that is longer than its size', `${chunked}2\r\nabc`, /longer than its size/],
    ['a chunk that ends in a bare LF', `${chunked}2\r\nab\n`, /longer than its size/],
    ['a trailer that ends in a bare LF', `${chunked}0\r\nX-A: 1\n`, /without CR/],
    ['a trailer that frames the body', `${chunked}0\r\nContent-Length: 1\r\n`, /trailer/],
    ['a trailer that is no header', `${chunked}0\r\nX-A\r\n`, /header line/],
  ]
  for (const [what, text, fault] of faults) {
    test(what, () => {
      const reading = readText(text)
      assert.match(reading.fault ?? 'none', /^invalid-response: /)
      assert.match(reading.fault ?? 'none', fault)
      assert.equal(reading.complete, false)
    })
  }
})

describe('a head that is too large', () => {
  const tooLarge = /^response-head-too-large: /

  test('is refused as that', () => {
    assert.match(readText(`${ok}X-A: ${'x'.repeat(MAX_HEAD)}`).fault ?? 'none', tooLarge)
    const filled = (size: number) => readText(`${ok}X-A: ${'x'.repeat(size)}\r\nContent-Length: 0\r\n\r\n`)
    const fits = MAX_HEAD - `${ok}X-A: \r\nContent-Length: 0\r\n\r\n`.length
    assert.equal(filled(fits).complete, true)
    assert.match(filled(fits + 1).fault ?? 'none', tooLarge)
  })

  test('is so by its lines as well', () => {
    const lines = (count: number) => `${ok}${'X: 1\r\n'.repeat(count)}`
    assert.match(readText(lines(MAX_LINES + 1)).fault ?? 'none', tooLarge)
    assert.equal(readText(`${lines(MAX_LINES)}\r\n`).head?.headers.length, 2 * MAX_LINES)
  })

  test('is so with the interim ones before it, and with its trailers', () => {
    assert.match(readText('HTTP/1.1 100 Continue\r\n\r\n'.repeat(3000)).fault ?? 'none', tooLarge)
    assert.match(readText(`${chunked}0\r\nX: ${'x'.repeat(MAX_HEAD)}`).fault ?? 'none', tooLarge)
    assert.match(readText(`${chunked}0\r\n${'X: 1\r\n'.repeat(MAX_LINES)}`).fault ?? 'none', tooLarge)
  })
})

test('nothing is handed on after a fault', () => {
  const { body, fault } = readText(`${chunked}1\r\na\r\nx\r\n1\r\nb\r\n0\r\n\r\n`)
  assert.equal(body, 'a')
  assert.ok(fault)
})

test('an answer that the stream breaks off is not complete', () => {
  for (const text of [
    '',
    'HTTP/1.1 200',
    ok,
    `${ok}Content-Length: 3\r\n\r\nab`,
    `${chunked}3\r\nabc\r\n`,
    `${chunked}0\r\n`,
  ]) {
    assert.equal(readText(text, true).complete, false, JSON.stringify(text))
  }
})

/** An answer as a function could print it, and what it says. */
const answers = fc
  .record({
    status: fc.constantFrom(200, 204, 302, 404, 503),
    fields: fc.array(
      fc.tuple(
        fc.constantFrom('X-A', 'x-b', 'Set-Cookie'),
        fc.string({ unit: fc.constantFrom('a', ' ', ':') }),
      ),
      { maxLength: 4 },
    ),
    pieces: fc.array(fc.string({ minLength: 1, maxLength: 40, unit: 'binary-ascii' }), { maxLength: 4 }),
    framing: fc.constantFrom('length', 'chunked', 'stream'),
  })
  .map(({ status, fields, pieces, framing }) => {
    const none = status === 204
    const body = none ? '' : pieces.join('')
    const framed = {
      length: [`Content-Length: ${body.length}\r\n`, body],
      chunked: [
        'Transfer-Encoding: chunked\r\n',
        none
          ? ''
          : `${pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')}0\r\n\r\n`,
      ],
      stream: ['', body],
    }[framing] as [string, string]
    const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    return {
      text: `HTTP/1.1 ${status} Reason\r\n${head}${framed[0]}\r\n${framed[1]}`,
      status,
      body,
      open: framing === 'stream' && !none,
    }
  })

/** An answer with some of its bytes changed, dropped or doubled. */
const broken = fc
  .tuple(
    answers,
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.nat(2),
        fc.constantFrom('', '\r', '\n', '\r\n', '0', '5', ' ', ':', ';', 'a', '\0', 'Content-Length: 2\r\n'),
      ),
      { maxLength: 3 },
    ),
  )
  .map(([{ text }, edits]) =>
    edits.reduce((now, [at, dropped, added]) => {
      const position = at % (now.length + 1)
      return now.slice(0, position) + added + now.slice(position + dropped)
    }, text),
  )

const anything = fc.oneof(
  broken,
  answers.map(({ text }) => text),
  fc.string({ unit: 'binary-ascii', maxLength: 100 }),
  fc.string({
    unit: fc.constantFrom('HTTP/1.1 200 OK\r\n', '\r\n', '\n', 'a', ': ', 'Content-Length: 1\r\n'),
  }),
)

test('every well-formed answer is read as it was meant', () => {
  fc.assert(
    fc.property(answers, fc.string({ maxLength: 5 }), ({ text, status, body, open }, after) => {
      const rest = open ? '' : after
      const reading = readText(text + rest, true)
      assert.deepEqual(
        [reading.head?.status, reading.body, reading.complete, reading.fault, reading.left],
        [status, body, true, undefined, Buffer.from(rest, 'latin1').length],
      )
    }),
  )
})

test('however the bytes are cut, the result is the same', () => {
  fc.assert(
    fc.property(anything, fc.array(fc.nat(), { maxLength: 20 }), fc.boolean(), (text, cuts, ends) => {
      const bytes = Buffer.from(text, 'latin1')
      const whole = read([bytes], ends)
      const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])]
      places.sort((a, b) => a - b)
      const pieces = places.slice(1).map((end, i) => bytes.subarray(places[i], end))
      assert.deepEqual(read(pieces, ends), whole)
      assert.deepEqual(
        read(
          Array.from(bytes, (byte) => Buffer.of(byte)),
          ends,
        ),
        whole,
      )
    }),
    { numRuns: 1000 },
  )
})

test('an answer that is cut short is never complete', () => {
  fc.assert(
    fc.property(answers, fc.nat(), ({ text, open }, cut) => {
      fc.pre(!open)
      assert.equal(readText(text.slice(0, cut % text.length), true).complete, false)
    }),
  )
})

test('random bytes are no answer', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      assert.equal(read([Buffer.from(bytes)], true).complete, false)
    }),
  )
})

/** What Node's own client reads from these bytes; `undefined` when it refuses them. */
async function readByNode(bytes: Buffer): Promise<{ status: number; body: string } | undefined> {
  const [ours, theirs] = duplexPair()
  theirs.once('data', () => theirs.end(bytes))
  try {
    return await new Promise((resolve, reject) => {
      const req = request({ createConnection: () => ours }, (res) => {
        buffer(res).then(
          (body) => resolve({ status: res.statusCode as number, body: body.toString('latin1') }),
          reject,
        )
      })
      req.on('error', reject)
      req.on('upgrade', () => reject(new Error('upgrade')))
      req.end()
    })
  } catch {
    return undefined
  } finally {
    ours.destroy()
    theirs.destroy()
  }
}

test('what is accepted with CRLF at the ends of its lines, Node reads the same way', async () => {
  let compared = 0
  await fc.assert(
    fc.asyncProperty(broken, async (text) => {
      const { head, body, complete, left } = readText(text, true)
      const end = text.search(/\r?\n\r?\n/)
      if (!complete || /(^|[^\r])\n/.test(text.slice(0, end + 4))) return
      compared++
      const reading = await readByNode(Buffer.from(text.slice(0, text.length - left), 'latin1'))
      assert.deepEqual(reading, { status: head?.status, body })
    }),
    { numRuns: 500 },
  )
  assert.ok(compared > 50, `${compared} answers were compared`)
})
