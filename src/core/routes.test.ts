import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  faultOfSource,
  faultOfTarget,
  guessKey,
  isCall,
  matchSource,
  parseTarget,
  SourceTable,
  shapeOf,
  type Target,
} from './routes.ts'

const trigger = (app: string, source: string, path = source): Target => ({
  kind: 'trigger',
  app,
  source,
  path,
})

test('the path of a call names a function or a trigger', () => {
  assert.deepEqual(parseTarget('/invoke/01A?x=1'), { kind: 'fn', fn: '01A' })
  assert.deepEqual(parseTarget('/t/shop'), trigger('shop', '/'))
  assert.deepEqual(parseTarget('/t/shop/'), trigger('shop', '/'))
  assert.deepEqual(parseTarget('/t/shop/a%20b/c?q=1'), trigger('shop', '/a b/c', '/a%20b/c'))
  assert.deepEqual(parseTarget('/t/%73hop%2Fa%2fb'), trigger('shop', '/a/b', '/a%2fb'))
})

test('what names neither is no target', () => {
  for (const target of [
    '/',
    '/invoke/',
    '/invoke/a/b',
    '/t/',
    '/t//a',
    '/t/%2Fa',
    '/t/%zz',
    '/v2/apps',
    '*',
    '',
  ])
    assert.equal(parseTarget(target), undefined, target)
})

test('an id or a name that is too long to be there names nothing, and the fault says how long it may be', () => {
  const long = (length: number) => 'x'.repeat(length)
  const named = [`/invoke/${long(64)}`, `/t/${long(255)}/a`, `/t/${'%61'.repeat(255)}`, `/t/a/${long(9_000)}`]
  for (const target of named) {
    assert.ok(parseTarget(target), target)
    assert.equal(faultOfTarget(`${target}?${long(999)}`), undefined)
  }
  for (const target of [`/invoke/${long(65)}`, `/t/${long(256)}`, `/t/${long(256)}%2Fa`]) {
    assert.equal(parseTarget(target), undefined)
    assert.match(faultOfTarget(`${target}?x`) ?? '', /at most (64|255) characters, got (65|256)$/)
  }
  assert.equal(guessKey(`/t/${long(100)}/${long(100_000)}/x`).length, 512)
})

/** Any text between slashes, encoded or not, well or badly. */
const piece = fc.constantFrom(
  'a',
  'b',
  '',
  '.',
  '..',
  '%2F',
  '%2f',
  '%20',
  '%',
  '%C3%A9',
  '%C3',
  ':a',
  '*',
  '%2E',
)
const anyPath = fc
  .array(fc.oneof(piece, fc.constant('/')), { maxLength: 12 })
  .map((pieces) => pieces.join(''))

test('any target at all is answered, never thrown at', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), anyPath), (text) => {
      for (const target of [text, `/t/${text}`, `/invoke/${text}`])
        assert.ok(isCall(target) || parseTarget(target) === undefined)
    }),
  )
})

test('app and source are what the decoded path begins with and goes on with', () => {
  fc.assert(
    fc.property(anyPath, (text) => {
      const target = parseTarget(`/t/${text}`)
      let whole: string | undefined
      try {
        whole = decodeURIComponent(text)
      } catch {}
      const app = whole?.split('/', 1)[0]
      if (!app) return assert.equal(target, undefined)
      assert.ok(target?.kind === 'trigger')
      assert.deepEqual([target.app, target.source], [app, whole?.slice(app.length) || '/'])
      assert.equal(decodeURIComponent(target.path), target.source)
    }),
  )
})

test('a guessed key has three segments at most, and no query', () => {
  assert.equal(guessKey('/t/shop/users/17?x=1'), '/t/shop/users')
  assert.equal(guessKey('/t/shop'), '/t/shop')
})

/** Sources → path → source and values, or undefined. */
const MATCHES: readonly (readonly [
  string,
  readonly string[],
  string,
  readonly [string, object] | undefined,
])[] = [
  ['an exact source', ['/cart'], '/cart', ['/cart', {}]],
  ['an exact source is compared decoded', ['/a b/é'], '/a%20b/%C3%A9', ['/a b/é', {}]],
  ['an encoded slash in an exact source, as before', ['/a/b'], '/a%2Fb', ['/a/b', {}]],
  ['a slash at the end is another path', ['/cart'], '/cart/', undefined],
  ['one segment', ['/users/:id'], '/users/17', ['/users/:id', { id: '17' }]],
  ['not none', ['/users/:id'], '/users/', undefined],
  ['not two', ['/users/:id'], '/users/17/x', undefined],
  ['with what follows', ['/u/:id/cart/:item'], '/u/1/cart/2', ['/u/:id/cart/:item', { id: '1', item: '2' }]],
  ['with a slash at the end', ['/u/:id/'], '/u/1/', ['/u/:id/', { id: '1' }]],
  ['the rest', ['/files/*rest'], '/files/a/b.txt', ['/files/*rest', { rest: '/a/b.txt' }]],
  ['the rest may be its slash', ['/files/*rest'], '/files/', ['/files/*rest', { rest: '/' }]],
  ['the rest needs its slash', ['/files/*rest'], '/files', undefined],
  ['all of an app', ['/*all'], '/', ['/*all', { all: '/' }]],
  ['values are decoded', ['/u/:id'], '/u/%C3%A9%20%3F', ['/u/:id', { id: 'é ?' }]],
  ['an encoded slash stays in its segment', ['/u/:id'], '/u/a%2Fb', ['/u/:id', { id: 'a/b' }]],
  ['an encoded slash makes no segment', ['/u/:id/b'], '/u/a%2Fb', undefined],
  ['a value is not decoded twice', ['/u/:id'], '/u/%252e', ['/u/:id', { id: '%2e' }]],
  ['fixed segments are decoded', ['/ü/:id'], '/%C3%BC/1', ['/ü/:id', { id: '1' }]],
  ['no badly encoded path', ['/u/:id'], '/u/%zz', undefined],
  ['an exact source wins', ['/:a', '/*a', '/x'], '/x', ['/x', {}]],
  ['an exact source wins over an encoded slash', ['/u/:a', '/u/a/b'], '/u/a%2Fb', ['/u/a/b', {}]],
  ['a fixed segment before a parameter', ['/:a/y', '/x/:b'], '/x/y', ['/x/:b', { b: 'y' }]],
  ['a parameter before the rest', ['/*r', '/:a'], '/x', ['/:a', { a: 'x' }]],
  ['a longer rest is left to others', ['/*r', '/:a'], '/x/y', ['/*r', { r: '/x/y' }]],
  ['another way where the better one ends', ['/x/:b/z', '/:a/y'], '/x/y', ['/:a/y', { a: 'x' }]],
  ['the deeper rest first', ['/*r', '/x/*r'], '/x/y', ['/x/*r', { r: '/y' }]],
  ['a colon inside a segment is a character', ['/a:b', '/:x'], '/a:b', ['/a:b', {}]],
  ['a star inside a segment is a character', ['/a*'], '/ab', undefined],
  ['a sent pattern is a path', ['/u/:id'], '/u/:id', ['/u/:id', { id: ':id' }]],
  ['a source that breaks the rules is a path', ['/u/:1', '/*a/b'], '/u/:1', ['/u/:1', {}]],
  ['and no pattern', ['/u/:1', '/*a/b'], '/u/x', undefined],
  [
    'any name',
    ['/:__proto__/:toString'],
    '/a/b',
    [
      '/:__proto__/:toString',
      Object.fromEntries([
        ['__proto__', 'a'],
        ['toString', 'b'],
      ]),
    ],
  ],
]

for (const [title, sources, path, expected] of MATCHES)
  test(`a path and its source: ${title}`, () => {
    const found = matchSource(sources, path)
    assert.deepEqual(found && [found.source, found.params], expected)
  })

test('no value climbs, however it is written', () => {
  for (const path of [
    '/u/..',
    '/u/%2e%2E',
    '/u/.',
    '/u/a%2f..%2fb',
    '/u/..%2F',
    '/f/a/../b',
    '/f/..%2fb',
    '/f/a/.',
  ])
    assert.equal(matchSource(['/u/:id', '/f/*rest'], path), undefined, path)
  for (const path of ['/u/...', '/u/.a', '/u/a..', '/f/..a/b'])
    assert.ok(matchSource(['/u/:id', '/f/*rest'], path), path)
})

test('neither deep sources nor long paths exhaust the stack', () => {
  const deep = `${'/a'.repeat(50_000)}/:id`
  const table = new SourceTable([deep, '/a/:x', '/a/a/*rest'])
  assert.deepEqual(table.match(deep.replace(':id', '1'))?.params, { id: '1' })
  assert.equal(table.match('/a'.repeat(50_000))?.source, '/a/a/*rest')
})

const segment = fc.constantFrom('a', 'b', '', ':x', ':y', '*z', 'a:b')
const anySource = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`)

/** What a source says of a path, the plain way: its rank (smaller first) and values. */
function compare(source: string, path: string): { rank: string; params: object } | undefined {
  if (shapeOf(source) === undefined)
    return source === decodeURIComponent(path) ? { rank: '', params: {} } : undefined
  const theirs = path.split('/').map(decodeURIComponent)
  const values: [string, string][] = []
  let rank = '1'
  for (const [i, part] of source.split('/').entries()) {
    const value = part[0] === '*' ? `/${theirs.slice(i).join('/')}` : theirs[i]
    if (i >= theirs.length || value === undefined) return undefined
    rank += part[0] === '*' ? '3' : part[0] === ':' ? '2' : '1'
    if (part[0] === ':' && value === '') return undefined
    if (part[0] === ':' || part[0] === '*') {
      if (value.split('/').some((it) => it === '.' || it === '..')) return undefined
      values.push([part.slice(1), value])
    } else if (part !== value) return undefined
    if (part[0] === '*') return { rank, params: Object.fromEntries(values) }
  }
  return source.split('/').length === theirs.length ? { rank, params: Object.fromEntries(values) } : undefined
}

test('the source found is the most specific one of those that match, in whatever order they are given', () => {
  const part = fc.constantFrom('a', 'b', 'c', '', '.', 'a%2Fb', 'a:b', '%2e%2E', ':x')
  const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`)
  fc.assert(
    fc.property(fc.array(anySource, { maxLength: 8 }), path, (sources, path) => {
      const ranked = sources
        .map((source) => ({ source, ...compare(source, path) }))
        .filter(({ rank }) => rank !== undefined)
        .toSorted((a, b) => (`${a.rank} ${a.source}` < `${b.rank} ${b.source}` ? -1 : 1))
      const expected = ranked[0] && { source: ranked[0].source, params: ranked[0].params }
      assert.deepEqual(matchSource(sources, path), expected)
      assert.deepEqual(matchSource(sources.toReversed(), path), expected)
    }),
    { numRuns: 2_000 },
  )
})

test('sources of the same shape take the same paths', () => {
  assert.equal(shapeOf('/u/:a/*b'), shapeOf('/u/:c/*d'))
  assert.notEqual(shapeOf('/u/:a'), shapeOf('/u/*a'))
  for (const source of ['/u/a', '/u/a:b', '/u/:', '/*a/b', '/:a/:A'])
    assert.equal(shapeOf(source), undefined, source)
})

test('the rule that a source breaks is told', () => {
  const rules: readonly (readonly [string, RegExp | undefined])[] = [
    ['/a:b/c*', undefined],
    ['/:_a1/*Rest', undefined],
    ['/:', /letters, digits/],
    ['/:1a', /letters, digits/],
    ['/*', /letters, digits/],
    ['/:a-b', /letters, digits/],
    ['/:é', /letters, digits/],
    ['/:a/:a', /differently, in any case/],
    ['/:id/*ID', /differently, in any case/],
    ['/*a/b', /at its end only/],
    ['/*a/', /at its end only/],
  ]
  for (const [source, rule] of rules) {
    const fault = faultOfSource(source)
    if (rule) assert.match(fault ?? '', rule, source)
    else assert.equal(fault, undefined, source)
  }
})
