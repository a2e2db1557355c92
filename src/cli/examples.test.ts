import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import greet from '../../examples/hello-ts/func.ts'
import stream from '../../examples/stream/func.ts'
import work from '../../examples/work/func.ts'
import { packBundle } from './bundle.ts'
import { readFuncFile } from './func-file.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url))
/** Those that are functions: run-one shows the library. */
const folders = (await readdir(EXAMPLES)).filter((name) => name !== 'run-one')

const post = (body: string) => new Request('http://any/', { method: 'POST', body })
const { signal } = new AbortController()
const context = { callId: '01CALL', signal, config: {} }

for (const name of folders) {
  test(`the func file of example ${name} is without a fault and names it`, async () => {
    const { func, warnings } = await readFuncFile(`${EXAMPLES}/${name}`)
    assert.deepEqual([func.name, warnings], [name, []])
  })
}

test('the examples without dependencies can be packed', async () => {
  for (const name of ['hello-ts', 'work', 'stream'])
    assert.equal((await packBundle(`${EXAMPLES}/${name}`, { signal })).entry, 'func.ts')
})

test('the lock of the FDK example is installed from any registry', async () => {
  const lock = await readFile(`${EXAMPLES}/hello-fdk/package-lock.json`, 'utf8')
  assert.match(lock, /"node_modules\/@fnproject\/fdk"/)
  assert.doesNotMatch(lock, /"resolved"|https?:/)
})

test('hello-ts greets', async () => {
  assert.deepEqual(await greet(post('')), { message: 'Hello, world!' })
  assert.deepEqual(await greet(post('{"name":"Ada"}')), { message: 'Hello, Ada!' })
})

test('work takes the time of the body, before that of its config', async () => {
  const config = { WORK_MS: '0' }
  assert.equal((await done(work(post(''), { ...context, config }))).ms, 0)
  assert.equal((await done(work(post('{"ms":1}'), { ...context, config }))).ms, 1)
})

test('work tells its call, and one boot for all calls of one program', async () => {
  const first = await done(work(post('{"ms":0}'), context))
  const second = await done(work(post('{"ms":0}'), context))
  assert.equal(first.callId, '01CALL')
  assert.equal(second.bootId, first.bootId)
  assert.equal(second.calls, first.calls + 1)
})

test('work refuses a time that is none', async () => {
  for (const ms of [-1, 1e9, '"soon"', null]) {
    const answer = await work(post(`{"ms":${ms}}`), context)
    assert.equal(answer instanceof Response && answer.status, 400)
  }
})

test('work ends when its call does', async () => {
  await assert.rejects(work(post('{"ms":60000}'), { ...context, signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
})

test('stream sends one chunk a line', async () => {
  const response = await stream(post('{"lines":3,"ms":0}'), context)
  const chunks: string[] = []
  for await (const chunk of response.body ?? []) chunks.push(new TextDecoder().decode(chunk))
  assert.deepEqual(chunks, ['line 1 of 3\n', 'line 2 of 3\n', 'line 3 of 3\n'])
})

async function done(answer: ReturnType<typeof work>): Promise<Exclude<Awaited<typeof answer>, Response>> {
  const value = await answer
  assert.ok(!(value instanceof Response))
  return value
}
