import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { systemClock } from '../../core/clock.ts'
import { type Engine, openEngine } from './engine.ts'
import { waitForExit } from './requests.ts'

/** What an engine answers to one who waits for a container, each time. */
let answers: ((res: ServerResponse) => void)[]
const server = createServer((req: IncomingMessage, res) => {
  if (req.url?.includes('/wait')) return answers.shift()?.(res)
  return res.end(JSON.stringify(req.url === '/version' ? { ApiVersion: '1.41' } : { State: STATE }))
})
const STATE = { Running: false, ExitCode: 7, OOMKilled: false, Error: '' }
let engine: Engine

beforeEach(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`
  engine = await openEngine({ host, clock: systemClock, random: () => 0 })
})
afterEach(async () => {
  engine[Symbol.dispose]()
  server.close()
  await once(server, 'close')
})

/** Docker begins its answer when it is asked, and ends it when the container has ended. */
const begin = (res: ServerResponse) =>
  res.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders()
const done = (res: ServerResponse) => res.end('{"StatusCode":7}')
const breakOff = (res: ServerResponse) => {
  begin(res)
  setImmediate(() => res.destroy())
}
const refuse = (status: number, message: string) => (res: ServerResponse) =>
  res.writeHead(status).end(JSON.stringify({ message }))

describe('waiting for the end of a container', () => {
  let asked = 0
  const wait = (awayMs = 60_000) => {
    asked = 0
    return waitForExit(engine, 'c', { clock: systemClock, awayMs, again: () => asked++ })
  }

  test('goes on when an engine breaks off in the middle of its answer, as one does that is killed', async () => {
    answers = [breakOff, refuse(500, 'not yet'), done]
    assert.deepEqual(await wait(), { code: 7, oom: false, error: '' })
    assert.equal(asked, 2)
  })

  test('is over when the engine is away for too long', async () => {
    answers = [breakOff]
    assert.equal(await wait(-1), undefined)
  })

  test('is over when the container is not there any more', async () => {
    answers = [refuse(404, 'no such container')]
    assert.deepEqual(await wait(), { code: undefined, oom: false, error: 'the container was removed' })
  })
})
