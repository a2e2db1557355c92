import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { apiServer } from '../../test/support/api-server.ts'

const rarely = <T, U>(often: fc.Arbitrary<T>, rare: fc.Arbitrary<U>): fc.Arbitrary<T | U> =>
  fc.oneof({ weight: 60, arbitrary: often }, { weight: 1, arbitrary: rare })
const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(0, -1, 1, '', null, '/x', 'http', Number.MAX_VALUE),
)
const field = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<unknown> => rarely(value, odd)
const keys = rarely(
  fc.constantFrom('a', 'b', '__proto__', 'fnproject.io/fn/invokeEndpoint', 'toString'),
  fc.string(),
)
const keyed = <T>(value: fc.Arbitrary<T>) => fc.dictionary(keys, value, { noNullPrototype: true, maxKeys: 3 })
const upTo = (max: number) => rarely(fc.integer({ min: 1, max }), fc.integer({ min: -2, max: max + 2 }))

/** Bodies that look like any of the three resources, most of them right. */
const bodies = fc.record(
  {
    id: fc.constantFrom('', null),
    name: field(rarely(fc.constant('it'), fc.constantFrom('other', 'ü', 'a/b', ''))),
    app_id: field(fc.string()),
    fn_id: field(rarely(fc.constant(''), fc.string())),
    image: field(fc.string()),
    memory: field(upTo(8_192)),
    timeout: field(upTo(300)),
    idle_timeout: field(upTo(3_600)),
    config: field(keyed(fc.string({ maxLength: 3 }))),
    annotations: field(keyed(odd)),
    syslog_url: field(rarely(fc.constantFrom('', 'tcp://x'), fc.webUrl())),
    shape: field(fc.constantFrom('GENERIC_ARM', '')),
    type: field(fc.string()),
    source: field(fc.string().map((text) => `/${text}`)),
    created_at: field(fc.constant('0001-01-01T00:00:00.000Z')),
    format: field(fc.constantFrom('http', 'default')),
    cpus: field(fc.double({ min: 0, max: 1_024, noNaN: true })),
    concurrency: field(upTo(1_000)),
    start_timeout: field(upTo(300)),
    max_wait: field(upTo(3_600)),
    min_warm: field(upTo(100)),
    async: field(rarely(fc.constant(false), fc.constant(true))),
    extra: odd,
  },
  { requiredKeys: [] },
)

const KINDS = ['apps', 'fns', 'triggers'] as const
const MERGED = new Set(['config', 'annotations'])
/** Never set by a body. */
const FIXED = new Set(['id', 'app_id', 'shape', 'type', 'created_at'])

type Resource = Readonly<Record<string, unknown>>

/** What a body may not have touched: fixed fields, fields it did not send, keys that it did not send. */
function untouched(resource: Resource, body: Resource): unknown {
  const rest = Object.entries(resource).filter(([key]) => key !== 'updated_at')
  return rest.map(([key, value]) => {
    if (!(key in body) || FIXED.has(key)) return [key, value]
    if (!MERGED.has(key)) return [key]
    const sent = Object(body[key]) as Resource
    return [key, Object.entries(value as Resource).filter(([inner]) => !Object.hasOwn(sent, inner))]
  })
}

test('no PUT changes what it did not send, changes anything when refused, or breaks the server', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'it', config: { a: '1', z: '2' } })).json
  const body = {
    name: 'it',
    app_id: app.id,
    image: 'img',
    config: { a: '1', z: '' },
    annotations: { a: 1, z: 2 },
  }
  const fn = (await api.send('POST', '/v2/fns', body)).json
  const trigger = { name: 'it', app_id: app.id, fn_id: fn.id, type: 'http', source: '/it' }
  const made = (await api.send('POST', '/v2/triggers', trigger)).json
  const stores = {
    apps: () => api.store.apps.get(app.id),
    fns: () => api.store.fns.get(fn.id),
    triggers: () => api.store.triggers.get(made.id),
  }
  const ids = { apps: app.id, fns: fn.id, triggers: made.id }
  const passed = new Set<string>()

  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...KINDS), bodies, async (kind, change) => {
      const before = (await stores[kind]()) as unknown as Resource
      const reply = await api.send('PUT', `/v2/${kind}/${ids[kind]}`, JSON.stringify(change))
      const after = (await stores[kind]()) as unknown as Resource
      assert.ok(reply.status < 500, reply.text)
      if (reply.status !== 200) return assert.deepEqual(after, before)
      assert.deepEqual(untouched(after, change), untouched(before, change))
      passed.add(kind)
    }),
    { numRuns: 200 },
  )
  assert.deepEqual([...passed].sort(), KINDS)
})

test('no POST breaks the server, and what one makes can be put back as it was read', async () => {
  await using api = await apiServer()
  const app = (await api.send('POST', '/v2/apps', { name: 'it' })).json
  const fn = (await api.send('POST', '/v2/fns', { name: 'it', app_id: app.id, image: 'img' })).json
  const passed = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...KINDS), bodies, fc.boolean(), async (kind, body, fits) => {
      const { created_at, ...rest } = body
      const fitting = { ...rest, name: 'new', app_id: app.id, fn_id: fn.id, type: 'http', image: 'img' }
      const made = await api.send('POST', `/v2/${kind}`, JSON.stringify(fits ? fitting : body))
      assert.ok(made.status < 500, made.text)
      if (made.status !== 200) return
      passed.add(kind)
      const path = `/v2/${kind}/${made.json.id}`
      // A config value of "" can be created; put back, it means "delete".
      const { config: _, ...same } = made.json
      const put = await api.send('PUT', path, JSON.stringify(same))
      assert.deepEqual([put.status, put.json], [200, made.json])
      assert.equal((await api.send('DELETE', path)).status, 204)
    }),
    { numRuns: 400 },
  )
  assert.deepEqual([...passed].sort(), KINDS)
})
