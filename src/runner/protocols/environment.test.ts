import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeApp, makeFn } from '../../../test/support/definitions.ts'
import { define } from '../definition.ts'
import { type CallOrigin, environment2017 } from './environment.ts'

const ORIGIN: CallOrigin = {
  method: 'PUT',
  url: 'https://shop.example/t/shop/cart/7?a=b',
  route: '/cart/:id',
  params: { id: '7' },
}

const environmentOf = (
  headers: readonly string[],
  config: Record<string, string> = {},
  origin: Partial<CallOrigin> = {},
  appConfig: Record<string, string> = {},
) =>
  environment2017({
    definition: define(makeApp({ config: appConfig }), makeFn({ config })),
    headers,
    origin: { ...ORIGIN, ...origin },
  })

test('a function reads how it was called, in the words of 2017', () => {
  assert.deepEqual(environmentOf(['X-Foo', 'bar', 'Fn-Call-Id', 'CALL', 'Fn-Deadline', 'soon']), {
    METHOD: 'PUT',
    APP_NAME: 'shop',
    ROUTE: '/cart/:id',
    REQUEST_URL: 'https://shop.example/t/shop/cart/7?a=b',
    PARAM_ID: '7',
    HEADER_X_FOO: 'bar',
    FN_CALL_ID: 'CALL',
    FN_DEADLINE: 'soon',
  })
})

test('config is upper-cased with underscores, and the function’s wins over the app’s', () => {
  const environment = environmentOf([], { 'db-url': 'fn' }, {}, { DB_URL: 'app', other: 'app' })
  assert.equal(environment['DB_URL'], 'fn')
  assert.equal(environment['OTHER'], 'app')
})

test('the values of a repeated header are joined by a space', () => {
  const environment = environmentOf(['Accept', 'a', 'X', '1', 'accept', 'b, c'])
  assert.equal(environment['HEADER_ACCEPT'], 'a b, c')
})

test('a trigger’s renamed headers come under the names that the caller used', () => {
  const environment = environmentOf([
    ...['Fn-Intent', 'httprequest', 'Fn-Http-Method', 'PUT', 'Fn-Http-Request-Url', 'http://x/'],
    ...['Fn-Http-H-X-Foo', 'bar', 'Content-Type', 'text/plain'],
    ...['Content-Length', '5', 'Fn-Http-H-Content-Length', '5'],
  ])
  assert.deepEqual(
    Object.entries(environment).filter(([name]) => name.startsWith('HEADER_')),
    [
      ['HEADER_X_FOO', 'bar'],
      ['HEADER_CONTENT_LENGTH', '5'],
      ['HEADER_CONTENT_TYPE', 'text/plain'],
    ],
  )
})

test('headers of the platform are none of the caller’s', () => {
  const environment = environmentOf(['Fn-Intent', 'x', 'Fn-Http-H-Fn-Deadline', 'x', 'Fn-Http-H-', 'x'])
  assert.deepEqual(
    Object.keys(environment).filter((name) => /HEADER|FN_/.test(name)),
    [],
  )
})

test('what would be no valid variable is left out', () => {
  const environment = environmentOf(
    ['X.Dot', 'x', 'X-Nul', 'a\0b'],
    { 'my.key': 'x', '': 'x', '9LIVES': 'x', nul: '\0', 'with space': 'x', ключ: 'x' },
    { params: { '*': 'x', __proto__x: 'x' } },
  )
  assert.deepEqual(Object.keys(environment), [
    'METHOD',
    'APP_NAME',
    'ROUTE',
    'REQUEST_URL',
    'PARAM___PROTO__X',
  ])
})

test('an address that is no full URL is left out', () => {
  assert.equal('REQUEST_URL' in environmentOf([], {}, { url: 'http//host/x' }), false)
})

test('a header in UTF-8 is read as that, and any other as latin-1', () => {
  const environment = environmentOf(['X-A', Buffer.from('Zoë').toString('latin1'), 'X-B', 'Zo\xeb'])
  assert.deepEqual([environment['HEADER_X_A'], environment['HEADER_X_B']], ['Zoë', 'Zoë'])
})

test('a name with an underscore does not stand for the one with a dash', () => {
  for (const headers of [
    ['X-User', 'real', 'X_User', 'forged'],
    ['X_User', 'forged', 'X-User', 'real'],
  ]) {
    assert.equal(environmentOf(headers)['HEADER_X_USER'], 'real')
  }
  assert.equal(environmentOf(['X_User', 'only'])['HEADER_X_USER'], 'only')
})

test('config answers before what a caller sends', () => {
  const environment = environmentOf(['X-Role', 'admin'], { HEADER_X_ROLE: 'guest', PARAM_ID: '1' })
  assert.deepEqual([environment['HEADER_X_ROLE'], environment['PARAM_ID']], ['guest', '1'])
})

test('config cannot stand for a variable of the platform', () => {
  const environment = environmentOf(['Fn-Call-Id', 'CALL'], { fn_call_id: 'x', 'Fn-Format': 'x', FN_X: 'x' })
  assert.deepEqual(
    Object.entries(environment).filter(([name]) => name.startsWith('FN_')),
    [['FN_CALL_ID', 'CALL']],
  )
})

test('the platform’s own header is the last one, whatever came before it', () => {
  assert.equal(environmentOf(['fn-call-id', 'forged', 'Fn-Call-Id', 'CALL'])['FN_CALL_ID'], 'CALL')
})

test('nothing that a caller sends changes a variable that is not named for it', () => {
  const headers = fc
    .array(fc.tuple(fc.string(), fc.string({ unit: 'binary-ascii' })))
    .map((all) => all.flat())
  fc.assert(
    fc.property(headers, (sent) => {
      const own = ['Fn-Call-Id', 'CALL', 'Fn-Deadline', 'soon']
      const rest = Object.entries(environmentOf([...sent, ...own], { KEY: 'value' })).filter(
        ([name]) => !name.startsWith('HEADER_'),
      )
      const alone = Object.entries(environmentOf(own, { KEY: 'value' }))
      assert.deepEqual(rest, alone)
    }),
  )
})
