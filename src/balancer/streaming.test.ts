import assert from 'node:assert/strict'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { balancerRig, send } from '../../test/support/balancer-rig.ts'
import { until } from '../../test/support/until.ts'

const call = '/invoke/01FN000000000000000000000A'
const MIB = 1_048_576
const headers = { 'User-Agent': 'test' }

async function one() {
  const rig = await balancerRig(1)
  const [node] = rig.nodes
  assert.ok(node)
  return { ...rig, node, url: rig.balancer.url + call }
}

test('10 MiB come back as they were sent, both ways at once', async () => {
  await using rig = await one()
  rig.node.stream = (req, res) => void req.pipe(res)
  const body = Buffer.alloc(10 * MIB, 'no two blocks of it are quite alike: 7 is prime. ')
  for (const chunked of [false, true]) {
    const got = await send(rig.url, { method: 'POST', body, chunked })
    assert.ok(got.body.equals(body))
  }
})

test('a conversation: each side answers what the other has just said', async () => {
  await using rig = await one()
  rig.node.stream = (req, res) => void req.pipe(res)
  const req = httpRequest(rig.url, { method: 'POST', headers })
  req.write('ping')
  const res = await new Promise<IncomingMessage>((resolve) => req.on('response', resolve))
  res.setEncoding('utf8')
  const heard: string[] = []
  res.on('data', (text: string) => heard.push(text))
  await until('first', () => heard.join('') === 'ping')
  req.end('pong')
  await until('second', () => heard.join('') === 'pingpong')
})

test('a client that reads slowly holds the node back', async () => {
  await using rig = await one()
  let written = 0
  let finished = false
  rig.node.stream = (_req, res) => {
    const fill = () => {
      while (written < 100 * MIB) {
        written += 65_536
        if (!res.write(Buffer.alloc(65_536))) return void res.once('drain', fill)
      }
      finished = true
      res.end()
    }
    fill()
  }
  const req = httpRequest(rig.url, { headers }).end()
  const res = await new Promise<IncomingMessage>((resolve) => req.on('response', resolve))
  res.pause()
  const settled = await stands(() => written)
  assert.ok(settled < 40 * MIB, `${settled} bytes were written ahead of the reader`)
  let read = 0
  res.on('data', (chunk: Buffer) => {
    read += chunk.length
  })
  res.resume()
  await new Promise((resolve) => res.on('end', resolve))
  assert.deepEqual([read, finished], [100 * MIB, true])
})

test('a node that reads slowly holds the client back', async () => {
  await using rig = await one()
  const arrived = Promise.withResolvers<IncomingMessage>()
  rig.node.stream = (req, res) => {
    req.pause()
    req.on('end', () => res.end('read'))
    arrived.resolve(req)
  }
  let written = 0
  const req = httpRequest(rig.url, { method: 'POST', headers })
  const fill = () => {
    while (written < 100 * MIB) {
      written += 65_536
      if (!req.write(Buffer.alloc(65_536))) return void req.once('drain', fill)
    }
    req.end()
  }
  fill()
  const there = await arrived.promise
  const settled = await stands(() => written)
  assert.ok(settled < 40 * MIB, `${settled} bytes were taken ahead of the node`)
  there.resume()
  const res = await new Promise<IncomingMessage>((resolve) => req.on('response', resolve))
  assert.equal(res.statusCode, 200)
  res.resume()
})

test('a node that answers before the body has come is heard, and the next call works', async () => {
  await using rig = await one()
  rig.node.stream = (_req, res) => void res.writeHead(413, { Connection: 'close' }).end('too large')
  const got = await send(rig.url, { method: 'POST', body: 'x'.repeat(100), chunked: true })
  assert.deepEqual([got.status, got.text], [413, 'too large'])
  rig.node.stream = undefined
  assert.equal((await send(rig.url)).status, 200)
})

/** The value once it has stopped growing: the same at 20 looks in a row. */
async function stands(look: () => number): Promise<number> {
  let last = -1
  let same = 0
  await until('it to stand still', () => {
    const now = look()
    same = now === last ? same + 1 : 0
    last = now
    return same >= 20
  })
  return last
}
