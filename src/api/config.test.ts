import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiServer } from '../../test/support/api-server.ts'

const KINDS = [
  ['app', '/v2/apps', { name: 'shop' }],
  ['fn', '/v2/fns', { name: 'cart', image: 'img' }],
] as const

test('config that no environment can hold is refused with the rule, on apps and functions', async () => {
  await using api = await apiServer()
  const app_id = (await api.send('POST', '/v2/apps', { name: 'parent' })).json.id
  const cases: [object, string, RegExp][] = [
    [{ '': 'x' }, 'Invalid config name', /config name must be given, got ""/],
    [{ 'A=B': 'x' }, 'Invalid config name', /must have neither "=" nor NUL, got "A=B"/],
    [{ 'A\0': 'x' }, 'Invalid config name', /must have neither "=" nor NUL/],
    [{ ['N'.repeat(256)]: 'x' }, 'Invalid config name', /must be at most 255 bytes/],
    [{ KEY: 'a\0b' }, 'Invalid config value', /config KEY must have no NUL/],
    [
      { KEY: 'é'.repeat(32_769) },
      'Invalid config value',
      /config KEY must be at most 65536 bytes, got 65538/,
    ],
    [
      Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`K${i}`, 'x'.repeat(60_000)])),
      'Invalid config',
      /config must be at most 262144 bytes in all, got 3000[12]0/,
    ],
  ]
  for (const [kind, path, body] of KINDS) {
    const made = await api.send('POST', path, { ...body, app_id, config: { KEPT: '1', GONE: '2' } })
    assert.equal(made.status, 200, kind)
    for (const [config, message, detail] of cases)
      for (const [method, target] of [
        ['POST', path],
        ['PUT', `${path}/${made.json.id}`],
      ] as const) {
        const reply = await api.send(method, target, {
          ...body,
          ...(method === 'POST' && { name: 'other' }),
          app_id,
          config,
        })
        assert.deepEqual([reply.status, reply.json.message], [400, message], `${method} ${kind} ${message}`)
        assert.match(reply.json.detail, detail)
        assert.ok(reply.json.detail.startsWith(`${kind} config`))
      }
    const { config } = (
      await api.send('PUT', `${path}/${made.json.id}`, { config: { GONE: '', NEW: 'x'.repeat(65_536) } })
    ).json
    assert.deepEqual(Object.keys(config).sort(), ['KEPT', 'NEW'])
  }
})

test('what is kept in memory has a length, and so has what is asked for', async () => {
  await using api = await apiServer()
  const app_id = (await api.send('POST', '/v2/apps', { name: 'shop' })).json.id
  const fn = { name: 'cart', image: 'img', app_id }
  const fn_id = (await api.send('POST', '/v2/fns', fn)).json.id
  const refused = async (path: string, body: object, message: string, rule: RegExp) => {
    const reply = await api.send('POST', path, body)
    assert.deepEqual([reply.status, reply.json.message], [400, message])
    assert.match(reply.json.detail, rule)
    assert.ok(reply.text.length < 500, 'what is too long is not repeated')
  }
  const trigger = { name: 't', app_id, fn_id, type: 'http', source: `/${'s'.repeat(1_024)}` }
  await refused('/v2/triggers', trigger, 'Invalid Trigger Source', /at most 1024 bytes/)
  const large = { ...fn, name: 'large', image: 'i'.repeat(1_025) }
  await refused('/v2/fns', large, 'Invalid image on Fn', /at most 1024 bytes/)
  const syslog_url = `tcp://${'h'.repeat(2_048)}`
  await refused('/v2/apps', { name: 'other', syslog_url }, 'invalid syslog url', /at most 2048 characters/)
  for (const path of [`/v2/apps?name=${'n'.repeat(20_000)}`, `/v2/fns/${'i'.repeat(20_000)}`]) {
    const reply = await api.send('GET', path)
    assert.ok(reply.status === 400 || reply.status === 404, `${reply.status}`)
    assert.ok(reply.text.length < 1_500, `${reply.text.length}`)
  }
})

test('an id that is too long names nothing, and the store is not asked', async () => {
  const touched = () => assert.fail('the store was asked')
  const table = { get: touched, update: touched, remove: touched }
  await using real = await apiServer()
  const store = { ...real.store, apps: table, fns: table, triggers: table } as never
  await using api = await apiServer({ store })
  for (const [path, message] of [
    ['/v2/apps', 'App not found'],
    ['/v2/fns', 'Fn not found'],
    ['/v2/triggers', 'Trigger not found'],
  ])
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const reply = await api.send(method, `${path}/${'i'.repeat(65)}`, method === 'PUT' ? {} : undefined)
      assert.deepEqual([reply.status, reply.json.message], [404, message], `${method} ${path}`)
    }
})
