import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBundle } from '../../test/support/bundle-process.ts'

/** Programs, and what each answers to `3.BOX` after a good and a bad call. */
const programs: Readonly<
  Record<string, readonly [format: string, source: string, answer: string | undefined]>
> = {
  'a handler': [
    'http-stream',
    `module.exports = async (req) => { if (await req.text()) throw new Error('no'); return 'fine' }`,
    'BOX.3',
  ],
  'a program with an HTTP server of Node': [
    'http-stream',
    `require('node:http').createServer((req, res) => {
      req.on('data', () => { res.statusCode = 502 }).on('end', () => res.end('fine'))
    }).listen(process.env.FN_LISTENER.slice(5))`,
    'BOX.3',
  ],
  'a program with an HTTP server of Node, on a port': [
    'port',
    `require('node:http').createServer((req, res) => res.end('fine')).listen(process.env.PORT)`,
    'BOX.3',
  ],
  'a program that speaks HTTP by hand': [
    'http-stream',
    `require('node:net').createServer((socket) => socket.on('data', () =>
      socket.write('HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok'))).listen(process.env.FN_LISTENER.slice(5))`,
    undefined,
  ],
}

for (const [name, [format, source, answer]] of Object.entries(programs)) {
  test(`${name} says ${answer ? 'which call its answers belong to, failures too' : 'of no answer which call it belongs to'}`, async () => {
    await using fn = await startBundle({ 'func.cjs': source }, { format })
    await fn.ready()
    for (const body of ['', 'fail']) {
      const seen = await fn.call({ 'Fn-Turn': '3.BOX' }, body)
      assert.equal(seen.headers['fn-turn'], answer)
    }
    assert.equal((await fn.call()).headers['fn-turn'], undefined)
  })
}

test('a handler does not see the question', async () => {
  await using fn = await startBundle(
    { 'func.cjs': 'module.exports = (req) => [...req.headers.keys()].join()' },
    { format: 'http-stream' },
  )
  await fn.ready()
  assert.doesNotMatch((await fn.call({ 'fn-turn': '3.BOX' })).body, /turn/)
})
