import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from '../../src/store/store.ts'
import { hello, send, setUpNode } from '../support/node-rig.ts'

test('what is too long to name anything is refused before anybody looks for it, and kept nowhere', async (t) => {
  const { node, store } = await setUpNode(t, hello())
  const asked: string[] = []
  const { get } = store.fns
  const { byName } = store.apps
  const fns: Partial<Store['fns']> = {
    get(id) {
      asked.push(id)
      return get.call(store.fns, id)
    },
  }
  const apps: Partial<Store['apps']> = {
    byName(name) {
      asked.push(name)
      return byName.call(store.apps, name)
    },
  }
  Object.assign(store.fns, fns)
  Object.assign(store.apps, apps)
  const [id, app] = ['i'.repeat(64), 'a'.repeat(255)]
  for (const target of [`/invoke/${id}`, `/t/${app}/x`])
    assert.equal((await send(node.url + target)).status, 404)
  assert.deepEqual(asked, [id, app])
  for (const target of [`/invoke/${id}i`, `/invoke/${'i'.repeat(100_000)}`, `/t/${app}a/x`, `/t/${app}%61`]) {
    const { status, body } = await send(node.url + target)
    assert.equal(status, 404, target)
    assert.ok(body.length < 1_000, 'it is not repeated at its length')
  }
  assert.deepEqual(asked, [id, app])
})
