import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { until } from '../../../test/support/until.ts'
import { systemClock, virtualClock } from '../../core/clock.ts'
import { type AttemptOptions, attemptPull, RegistryError } from './attempt.ts'
import { type EngineClient, engineClient } from './client.ts'
import { readCredentials } from './credentials.ts'
import type { PullEvent } from './progress.ts'
import { imageName } from './reference.ts'

const never = new AbortController().signal

/** What an engine would say; no real one can be made to say all of it. */
let answer: (req: IncomingMessage, res: ServerResponse) => void
const server = createServer((req, res) => answer(req, res))
let engine: EngineClient

beforeEach(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  engine = engineClient(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
afterEach(async () => {
  engine[Symbol.dispose]()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const attempt = (changes: Partial<AttemptOptions> = {}) =>
  attemptPull(engine, imageName('r.example/shop/cart:1'), {
    auth: undefined,
    clock: systemClock,
    signal: never,
    onEvent() {},
    ...changes,
  })
const refuse = (status: number, message: string) => {
  answer = (_, res) => res.writeHead(status).end(JSON.stringify({ message }))
}
const say = (...events: readonly unknown[]) => {
  answer = (_, res) => res.end(events.map((event) => `${JSON.stringify(event)}\r\n`).join(''))
}

describe('what an engine says of a registry', () => {
  const refusals = [
    [
      404,
      'image-missing',
      'manifest for r.example/shop/cart:1 not found: manifest unknown: manifest unknown',
    ],
    [
      404,
      'image-denied',
      "pull access denied for cart, repository does not exist or may require 'docker login'",
    ],
    [500, 'image-denied', 'Head "https://r.example/v2/": no basic auth credentials'],
    [500, 'image-denied', 'Get "https://r.example/v2/": unauthorized: incorrect username or password'],
    [500, 'image-denied', 'error pulling image: denied: quota'],
    [500, 'image-missing', 'name unknown: repository not found'],
    [404, 'image-missing', 'no matching manifest for linux/s390x in the manifest list entries'],
    [500, 'no-space', 'failed to register layer: write /x: no space left on device'],
    [400, 'bad-spec', 'invalid reference format'],
  ] as const
  for (const [status, fault, message] of refusals)
    test(`${fault}, when it is ${status} ${message}`, async () => {
      refuse(status, message)
      assert.deepEqual(await attempt(), { fault, reason: message })
      say({ status: 'Pulling from shop/cart', id: '1' }, { errorDetail: { message }, error: message })
      if (status === 500) assert.deepEqual(await attempt(), { fault, reason: message })
    })

  for (const message of [
    'dial tcp 127.0.0.1:5000: connect: connection refused',
    'Get "https://nowhere.invalid/v2/": dial tcp: lookup nowhere.invalid: no such host',
    'open /var/lib/docker/tmp/x: permission denied: x',
    'toomanyrequests: slow down',
    'unexpected EOF',
  ])
    test(`worth another try, when it is ${message}`, async () => {
      const expected = { name: 'RegistryError', message, statusCode: 502 }
      refuse(500, message)
      await assert.rejects(attempt(), expected)
      say({ errorDetail: { message } })
      await assert.rejects(attempt(), expected)
      say({ error: message })
      await assert.rejects(attempt(), expected)
    })

  test('is no fault of the registry when the engine breaks off', async () => {
    answer = (_, res) => {
      res.write('{"status":"Pulling')
      res.flushHeaders()
      setImmediate(() => res.destroy())
    }
    await assert.rejects(attempt(), (error) => !(error instanceof RegistryError))
  })

  test('is read line by line, however it arrives', async () => {
    const text = [{ id: 'a', status: 'é' }, { id: 'b' }, { id: 'c' }]
      .map((e) => JSON.stringify(e))
      .join('\r\n')
    answer = async (_, res) => {
      for (const byte of Buffer.from(text))
        await new Promise<void>((done) => res.write(Buffer.of(byte), () => done()))
      res.end()
    }
    const seen: PullEvent[] = []
    assert.equal(await attempt({ onEvent: (event) => seen.push(event) }), undefined)
    assert.deepEqual(seen, [{ id: 'a', status: 'é' }, { id: 'b' }, { id: 'c' }])
  })
})

describe('what an engine is asked', () => {
  /** The request for an image. */
  const asked = async (changes: Partial<AttemptOptions>) => {
    let seen: { url: string | undefined; auth: string | undefined } | undefined
    answer = (req, res) => {
      seen = { url: req.url, auth: req.headers['x-registry-auth'] as string | undefined }
      res.end()
    }
    await attempt(changes)
    return seen
  }

  test('one tag, without credentials where there are none', async () => {
    const url = '/images/create?fromImage=r.example%2Fshop%2Fcart&tag=1'
    assert.deepEqual(await asked({}), { url, auth: undefined })
  })

  test('credentials in padded base64 for URLs', async () => {
    const login = { name: 'r.example', username: 'a', password: '~~~???ÿÿÿ1' }
    const auth = await readCredentials({ dockerAuth: JSON.stringify([login]) }).for('r.example')
    const sent = (await asked({ auth }))?.auth as string
    assert.match(sent, /^[A-Za-z0-9_-]+=*$/)
    assert.equal(sent.length % 4, 0)
    const text = Buffer.from(sent, 'base64url').toString()
    assert.deepEqual(JSON.parse(text), { serveraddress: 'r.example', username: 'a', password: '~~~???ÿÿÿ1' })
  })
})

describe('an attempt ends', () => {
  test('when the engine has said nothing for five minutes', async () => {
    const clock = virtualClock()
    let heard = 0
    let line = () => {}
    answer = (_, res) => {
      line = () => res.write('{"status":"Downloading","id":"a"}\n')
      line()
    }
    const attempted = assert.rejects(attempt({ clock, onEvent: () => heard++ }), {
      name: 'RegistryError',
      message: 'the engine said nothing for 5 minutes',
    })
    await until('the first line', () => heard === 1)
    clock.advance(4 * 60_000)
    line()
    await until('the second line', () => heard === 2)
    clock.advance(4 * 60_000)
    line()
    await until(
      'the third line, which would not be heard if the silence were counted from the first',
      () => heard === 3,
    )
    clock.advance(5 * 60_000)
    await attempted
  })

  test('when it is aborted, and so does the request', async () => {
    const leaving = new AbortController()
    let closed = false
    let heard = 0
    answer = (_, res) => {
      res.once('close', () => {
        closed = true
      })
      res.write('{}\n')
    }
    const attempted = assert.rejects(attempt({ signal: leaving.signal, onEvent: () => heard++ }), {
      message: 'left',
    })
    await until('the stream to begin', () => heard > 0)
    leaving.abort(new Error('left'))
    await attempted
    await until('the request to be over', () => closed)
  })
})
