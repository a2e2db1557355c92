import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { systemClock } from '../../core/clock.ts'
import { api } from './api.ts'
import { openEngine } from './engine.ts'

/** An engine that says its version and answers nothing else. */
const server = createServer((req, res) => {
  asked.push(req.url as string)
  if (req.url === '/version') res.end(JSON.stringify({ ApiVersion: '1.41' }))
})
let asked: string[] = []

beforeEach(async () => {
  asked = []
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const open = () =>
  openEngine({
    host: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    clock: systemClock,
    random: () => 0,
  })

describe('disposing the connection to an engine', () => {
  const closed = { name: 'DriverError', fault: 'closed' }

  test('ends a request that is under way, for good', async () => {
    const engine = await open()
    const ping = engine.ask('ping', api.info(), { idempotent: true })
    const pinged = assert.rejects(ping, closed)
    await once(server, 'request')
    engine[Symbol.dispose]()
    await pinged
    assert.deepEqual(asked, ['/version', '/info'])
  })

  test('lets no other begin', async () => {
    const engine = await open()
    engine[Symbol.dispose]()
    await assert.rejects(engine.ask('ping', api.info()), closed)
    assert.deepEqual(asked, ['/version'])
  })
})
