import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiServer, apiServer } from '../../test/support/api-server.ts'

/** What a request is answered while it is wrong in this and in all later rows, and the change that mends this one. */
type Row = readonly [answer: string, fix: object, status?: number]

/** Walks down an order of checks: each row's answer comes, changes nothing, and goes with its fix. The last request passes. */
async function walk(
  api: ApiServer,
  request: { method: string; path: string; body: object },
  rows: readonly Row[],
) {
  const { method } = request
  let { path, body } = request
  for (const [answer, fix, status = 400] of rows) {
    const before = await api.store.version()
    const reply = await api.send(method, path, body)
    assert.deepEqual([reply.status, reply.json.message], [status, answer], JSON.stringify(body).slice(0, 300))
    assert.equal(reply.headers['content-type'], 'application/json; charset=utf-8')
    assert.equal(reply.text, `${JSON.stringify(reply.json)}\n`)
    assert.match(reply.json.detail, /\w+ (must|is) .+/)
    assert.equal(await api.store.version(), before)
    // A `path` in the body is an unknown field, and ignored.
    path = 'path' in fix ? String(fix.path) : path
    body = { ...body, ...fix }
  }
  const last = await api.send(method, path, body)
  assert.equal(last.status, 200, last.text)
}

const TOO_MANY = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, i]))

const annotationRows: readonly Row[] = [
  [
    'Invalid annotation key, annotation keys must be non-empty ascii strings excluding whitespace',
    { annotations: { ['k'.repeat(129)]: 1 } },
  ],
  [
    'Invalid annotation key length, annotation keys may not be larger than 128 bytes',
    { annotations: { k: { v: 'x'.repeat(505) } } },
  ],
  [
    'Invalid annotation value length, annotation values may not be larger than 512 bytes when serialized as JSON',
    { annotations: TOO_MANY },
  ],
  [
    'Invalid annotation change, new key(s) exceed maximum permitted number of annotations keys (100)',
    { annotations: { k: { v: 'x'.repeat(504) }, ['k'.repeat(128)]: false } },
  ],
]

const SYSLOG: Row = [
  'invalid syslog url: "ftp://host" invalid scheme, only [tcp, udp, unix, unixgram, tcp+tls] are supported',
  { syslog_url: 'tcp+tls://host:514' },
]

async function furnished(): Promise<ApiServer & { appId: string; fnId: string; triggerId: string }> {
  const api = await apiServer()
  const appId = (await api.send('POST', '/v2/apps', { name: 'taken' })).json.id as string
  const fn = { app_id: appId, name: 'taken', image: 'img' }
  const fnId = (await api.send('POST', '/v2/fns', fn)).json.id as string
  const trigger = { app_id: appId, fn_id: fnId, name: 'taken', type: 'http', source: '/taken' }
  const triggerId = (await api.send('POST', '/v2/triggers', trigger)).json.id as string
  return { ...api, appId, fnId, triggerId }
}

test('an app is created once every check passes, in their order', async () => {
  await using api = await furnished()
  const body = { id: 'x', name: 7, annotations: { 'a b': null }, syslog_url: 'ftp://host', shape: 'ROUND' }
  await walk(api, { method: 'POST', path: '/v2/apps', body }, [
    ['Invalid JSON', { name: '' }],
    ['App ID cannot be supplied on create', { id: '' }],
    ['Missing Name', { name: `${'é'.repeat(127)} !` }],
    ['App name must be 255 characters or less', { name: 'no space' }],
    ['Invalid app name', { name: 'taken' }],
    ...annotationRows,
    SYSLOG,
    ['Invalid app shape', { shape: 'GENERIC_ARM' }],
    ['App already exists', { name: 'größe_2-x' }, 409],
  ])
})

test('an app is updated once every check passes, in their order', async () => {
  await using api = await furnished()
  const body = { id: 'y', name: 'other', annotations: { '': 1 }, syslog_url: 7 }
  await walk(api, { method: 'PUT', path: '/v2/apps/unknown', body }, [
    ['Invalid JSON', { syslog_url: 'ftp://host' }],
    ['App ID in path does not match ID in body', { id: '' }],
    ['App not found', { path: `/v2/apps/${api.appId}` }, 404],
    ['Could not update - name is immutable', { name: 'taken', id: api.appId }, 409],
    ...annotationRows,
    SYSLOG,
  ])
})

const ranges = (): readonly Row[] => [
  ['timeout value is out of range, must be between 0 and 300', { timeout: 300 }],
  ['idle_timeout value is out of range, must be between 0 and 3600', { idle_timeout: 3600 }],
  ['memory value is out of range. It should be between 0 and 8192', { memory: 8192 }],
]

const settings: readonly Row[] = [
  ['Invalid format', { format: 'http-stream' }],
  ['Invalid cpus', { cpus: 0.5 }],
  ['Invalid tmpfs_size', { tmpfs_size: 65_536 }],
  ['Invalid concurrency', { concurrency: 1_000 }],
  ['Invalid max_concurrency', { max_concurrency: 0 }],
  ['Invalid start_timeout', { start_timeout: 300 }],
  ['Invalid max_wait', { max_wait: 0 }],
  ['Invalid min_warm', { min_warm: 100 }],
  ['Invalid async', { async: false }],
  ['Invalid network', { network: false }],
]

const badSettings = {
  format: 'HTTP',
  cpus: '1',
  tmpfs_size: 65_537,
  concurrency: 0,
  max_concurrency: 1.5,
  start_timeout: 301,
  max_wait: -1,
  min_warm: 101,
  async: true,
  network: 1,
}

test('a function is created once every check passes, in their order', async () => {
  await using api = await furnished()
  const body = {
    ...badSettings,
    id: 'x',
    timeout: -1,
    idle_timeout: 3_601,
    memory: -1,
    annotations: { 'a b': 1 },
    app_id: '',
  }
  await walk(api, { method: 'POST', path: '/v2/fns', body }, [
    ['Invalid JSON', { memory: 8_193 }],
    ['ID cannot be provided for Fn creation', { id: '' }],
    ['Missing AppID on Fn', { app_id: 'unknown' }],
    ['Missing Fn name', { name: '/'.repeat(256) }],
    ['Fn name must be 255 characters or less', { name: 'ümlaut' }],
    ['name must be a valid string', { name: 'taken' }],
    ['Missing image on Fn', { image: `bundle@sha256:${'a'.repeat(64)}` }],
    ...ranges(),
    ...annotationRows,
    ...settings,
    ['App not found', { app_id: api.appId }, 404],
    ['Bundle not found', { image: 'any thing: at all' }],
    ['Fn with specified name already exists', { name: 'a.b~c-_$&+=:@9' }, 409],
  ])
})

test('a format rules out what cannot go with it', async () => {
  await using api = await furnished()
  const create = (over: object) =>
    api.send('POST', '/v2/fns', { app_id: api.appId, name: 'formed', image: 'img:1', ...over })
  for (const [over, message, detail] of [
    [{ format: 'port' }, 'Invalid format', 'fn format must be http-stream, http or default for an image'],
    [{ format: 'http', concurrency: 2 }, 'Invalid concurrency', 'fn concurrency must be 1 with format http'],
    [
      { format: 'default', concurrency: 2 },
      'Invalid concurrency',
      'fn concurrency must be 1 with format default',
    ],
    [{ format: 'default', min_warm: 1 }, 'Invalid min_warm', 'fn min_warm must be 0 with format default'],
  ] as const) {
    const { status, json: body } = await create(over)
    assert.deepEqual([status, body.message], [400, message])
    assert.ok(body.detail.startsWith(detail), body.detail)
  }
  assert.equal((await create({ format: 'http', min_warm: 1 })).status, 200)
})

test('a function is updated once every check passes, in their order', async () => {
  await using api = await furnished()
  const body = {
    ...badSettings,
    id: 'x',
    timeout: '30',
    idle_timeout: -1,
    memory: 8_193,
    annotations: { 'a b': 1 },
    image: `bundle@sha256:${'a'.repeat(64)}`,
  }
  await walk(api, { method: 'PUT', path: '/v2/fns/unknown', body }, [
    ['Invalid JSON', { timeout: 301 }],
    ['Fn ID in path does not match that in body', { id: '' }],
    ['Fn not found', { path: `/v2/fns/${api.fnId}` }, 404],
    ...ranges(),
    ...annotationRows,
    ...settings,
    ['Bundle not found', { image: 'img:2' }],
  ])
})

test('a trigger is created once every check passes, in their order', async () => {
  await using api = await furnished()
  const other = (await api.send('POST', '/v2/apps', { name: 'other' })).json.id
  const stamp = '2019-04-11T10:00:00.000Z'
  const body = {
    id: 'x',
    created_at: 'yesterday',
    updated_at: stamp,
    type: 'queue',
    source: '',
    annotations: { 'a b': 1 },
  }
  await walk(api, { method: 'POST', path: '/v2/triggers', body }, [
    ['Invalid JSON', { created_at: stamp }],
    ['ID cannot be provided for Trigger creation', { id: '' }],
    ['Trigger Created At Provided for Create', { created_at: '0001-01-01T00:00:00.000Z' }],
    ['Trigger ID Provided for Create', { updated_at: '0001-01-01T00:00:00Z' }],
    ['Missing App ID on Trigger', { app_id: 'unknown' }],
    ['Missing name on Trigger', { name: ' '.repeat(256) }],
    ['Trigger name must be 255 characters or less', { name: 'a.b' }],
    ['Invalid name for Trigger', { name: 'taken' }],
    ['Missing Fn ID on Trigger', { fn_id: 'unknown' }],
    ['Trigger Type Not Supported', { type: 'http' }],
    ['Missing Trigger Source', { source: 'taken' }],
    ["Missing Trigger Source Prefix '/'", { source: '/:a/:A' }],
    ['Invalid Trigger Source', { source: '/taken' }],
    ...annotationRows,
    ['App not found', { app_id: other }, 404],
    ['Fn not found', { fn_id: api.fnId }, 404],
    ['Invalid Fn ID - not owned by specified app', { app_id: api.appId }],
    ['Trigger with the same type and source exists on this app', { source: '/fresh' }, 409],
    ['Trigger already exists', { name: 'fresh' }, 409],
  ])
})

test('a trigger is updated once every check passes, in their order', async () => {
  await using api = await furnished()
  const other = (await api.send('POST', '/v2/apps', { name: 'other' })).json.id
  const far = (await api.send('POST', '/v2/fns', { app_id: other, name: 'far', image: 'img' })).json.id
  const more = { app_id: api.appId, fn_id: api.fnId, name: 'more', type: 'http', source: '/more' }
  const id = (await api.send('POST', '/v2/triggers', more)).json.id
  const body = { id: 'x', name: ' '.repeat(256), source: 7, fn_id: 'unknown', annotations: { 'a b': 1 } }
  await walk(api, { method: 'PUT', path: '/v2/triggers/unknown', body }, [
    ['Invalid JSON', { source: 'taken' }],
    ['ID in path does not match ID in body', { id: '' }],
    ['Trigger not found', { path: `/v2/triggers/${id}` }, 404],
    ['Trigger name must be 255 characters or less', { name: 'a.b' }],
    ['Invalid name for Trigger', { name: 'taken' }],
    ["Missing Trigger Source Prefix '/'", { source: '/:a/:A' }],
    ['Invalid Trigger Source', { source: '/taken' }],
    ...annotationRows,
    ['Fn not found', { fn_id: far }, 404],
    ['Invalid Fn ID - not owned by specified app', { fn_id: api.fnId }],
    ['Trigger with the same type and source exists on this app', { source: '/fresh' }, 409],
    ['Trigger already exists', { name: 'fresh' }, 409],
  ])
})

test('a source may have parameters, and what breaks their rules is refused with the rule', async () => {
  await using api = await furnished()
  const send = (name: string, source: string) =>
    api.send('POST', '/v2/triggers', { app_id: api.appId, fn_id: api.fnId, name, type: 'http', source })
  for (const [source, detail] of [
    [
      '/a/:',
      /^trigger source must name a segment that begins with ":" or "\*" with letters, .*got "\/a\/:"$/,
    ],
    ['/:1/b', /no digit first/],
    ['/:id/x/:ID', /differently, in any case/],
    ['/*rest/a', /at its end only/],
  ] as const) {
    const { status, json } = await send('t', source)
    assert.deepEqual([status, json.message], [400, 'Invalid Trigger Source'], source)
    assert.match(json.detail, detail)
  }
  const made = await send('users', '/users/:id/*rest')
  assert.equal(made.status, 200)
  assert.match(made.json.annotations['fnproject.io/trigger/httpEndpoint'], /\/t\/taken\/users\/:id\/\*rest$/)
  const same = await send('same', '/users/:name/*path')
  assert.deepEqual(
    [same.status, same.json.message],
    [409, 'Trigger with the same type and source exists on this app'],
  )
  // Only what a segment begins with is special.
  for (const [name, source] of Object.entries({ a: '/users/:id', b: '/users/me', c: '/a:b/c*', d: '/*all' }))
    assert.equal((await send(name, source)).status, 200, source)
})

test('null and "" are no annotation on create, and delete one on update', async () => {
  await using api = await furnished()
  for (const [path, rest] of [
    ['/v2/apps', { name: 'a' }],
    ['/v2/fns', { name: 'a', app_id: api.appId, image: 'img' }],
    ['/v2/triggers', { name: 'a', app_id: api.appId, fn_id: api.fnId, type: 'http', source: '/a' }],
  ] as const)
    for (const value of [null, '']) {
      const reply = await api.send('POST', path, { ...rest, annotations: { k: value } })
      assert.equal(reply.status, 400)
      assert.equal(
        reply.json.message,
        'Invalid annotation value, annotation values may only be non-empty strings, numbers, objects, or arrays',
      )
    }
  for (const path of [`/v2/apps/${api.appId}`, `/v2/fns/${api.fnId}`, `/v2/triggers/${api.triggerId}`]) {
    await api.send('PUT', path, { annotations: { a: 1, b: 2, c: [null] } })
    const { annotations } = (await api.send('PUT', path, { annotations: { a: null, b: '', z: '' } })).json
    assert.deepEqual(annotations.c, [null])
    for (const gone of ['a', 'b', 'z']) assert.ok(!(gone in annotations))
  }
})

test('lists of functions and triggers need their app', async () => {
  await using api = await apiServer()
  for (const [path, message] of [
    ['/v2/fns', 'Missing AppID on Fn'],
    ['/v2/fns?app_id=', 'Missing AppID on Fn'],
    ['/v2/triggers', 'Missing App ID on Trigger'],
  ] as const) {
    const reply = await api.send('GET', path)
    assert.equal(reply.status, 400)
    assert.equal(reply.json.message, message)
  }
  assert.deepEqual((await api.send('GET', '/v2/fns?app_id=nobody')).json, { items: [] })
  assert.deepEqual((await api.send('GET', '/v2/triggers?app_id=nobody')).json, { items: [] })
})

test('what is not there cannot be read or deleted', async () => {
  await using api = await apiServer()
  for (const [path, message] of [
    ['/v2/apps/', 'App not found'],
    ['/v2/fns/', 'Fn not found'],
    ['/v2/triggers/', 'Trigger not found'],
  ] as const)
    for (const id of ['none', '%2F..%2F', 'a'.repeat(300)])
      for (const method of ['GET', 'DELETE']) {
        const reply = await api.send(method, path + id)
        assert.deepEqual([reply.status, reply.json.message], [404, message], `${method} ${path + id}`)
      }
})
