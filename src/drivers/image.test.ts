import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseImage } from './image.ts'

const vectors: readonly (readonly [string, string, string, string, string])[] = [
  ['funcy/hello', '', 'funcy/hello', 'latest', ''],
  ['funcy/hello:v1', '', 'funcy/hello', 'v1', ''],
  ['my.registry/hello', 'my.registry', 'hello', 'latest', ''],
  ['my.registry/hello:v1', 'my.registry', 'hello', 'v1', ''],
  ['mongo', '', 'library/mongo', 'latest', ''],
  ['mongo:v1', '', 'library/mongo', 'v1', ''],
  ['quay.com/funcy/hello', 'quay.com', 'funcy/hello', 'latest', ''],
  ['quay.com:8080/funcy/hello:v2', 'quay.com:8080', 'funcy/hello', 'v2', ''],
  [
    'localhost.localdomain:5000/samalba/hipache:latest',
    'localhost.localdomain:5000',
    'samalba/hipache',
    'latest',
    '',
  ],
  ['my.registry:5000/hello', 'my.registry:5000', 'hello', 'latest', ''],
  ['a/b/c', '', 'a/b/c', 'latest', ''],
  ['localhost:5000/hello', 'localhost:5000', 'hello', 'latest', ''],
  ['localhost/hello', 'localhost', 'hello', 'latest', ''],
  ['funcy/hello.v2', '', 'funcy/hello.v2', 'latest', ''],
  ['mongo@sha256:abcd', '', 'library/mongo', 'latest', 'sha256:abcd'],
  ['mongo:v1@sha256:abcd', '', 'library/mongo', 'v1', 'sha256:abcd'],
  ['r.io/a/b/c:v1', 'r.io', 'a/b/c', 'v1', ''],
]
for (const [text, registry, repo, tag, digest] of vectors)
  test(`${text} is split`, () => assert.deepEqual(parseImage(text), { registry, repo, tag, digest }))

for (const text of ['', ':v1', '@sha256:abcd', 'my.registry/', 'my.registry/:v1'])
  test(`${JSON.stringify(text)} names no repository`, () =>
    assert.throws(() => parseImage(text), { code: 'invalid', detail: /must name a repository/ }))

test('the parts of a full name come back', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/)
  const host = fc.oneof(
    fc.constant('localhost'),
    word.map((w) => `${w}.io`),
    word.map((w) => `${w}:5000`),
  )
  const path = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join('/'))
  fc.assert(
    fc.property(host, path, word, word, (registry, repo, tag, hex) => {
      const parts = parseImage(`${registry}/${repo}:${tag}@sha256:${hex}`)
      assert.deepEqual(parts, { registry, repo, tag, digest: `sha256:${hex}` })
    }),
  )
})
