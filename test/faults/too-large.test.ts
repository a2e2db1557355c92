import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { mockDriver } from '../../src/drivers/mock/mock.ts'
import { hello, INVOKE, send, setUpNode } from '../support/node-rig.ts'

/** The status of a body without a length. */
function chunked(url: string, size: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const req = request(url, { method: 'POST', agent: false }, (res) => {
      res.resume()
      resolve(res.statusCode as number)
    })
    req.on('error', reject)
    req.write('x'.repeat(size))
    req.end()
  })
}

// Format port reaches the node as http-stream does.
for (const format of ['http-stream', 'http', 'default'] as const)
  test(`a body beyond the limit is 413 for a function of format ${format}, with and without a length`, async (t) => {
    const driver = mockDriver({ clock: systemClock, random: systemRandom })
    const { node } = await setUpNode(t, hello(), { fn: { format }, node: { driver, maxRequestSize: 10 } })
    const url = node.url + INVOKE
    assert.equal((await send(url, { body: 'x'.repeat(11) })).status, 413)
    assert.equal(await chunked(url, 11), 413)
    // The mock speaks no `http`, which is an error of another kind.
    const other = format === 'http' ? 502 : 200
    assert.equal((await send(url, { body: 'x'.repeat(10) })).status, other)
    assert.equal(await chunked(url, 10), other)
  })
