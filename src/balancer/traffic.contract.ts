import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { balancerRig, send, sendRaw } from '../../test/support/balancer-rig.ts'
import { until } from '../../test/support/until.ts'
import type { BalancerOptions } from './balancer.ts'

const call = '/invoke/01FN000000000000000000000A'
const MIB = 1_048_576

/** How requests are read and how they are forwarded; what is left out is the default. */
export type Ways = Pick<BalancerOptions, 'clients' | 'forwarder'>

/**
 * What callers and nodes may rely on whatever moves the bytes between them: whole answers in order, backpressure both
 * ways, and nothing broken that looks whole.
 */
export function trafficContract(name: string, ways: () => Ways): void {
  const one = async () => {
    const rig = await balancerRig(1, ways())
    const [node] = rig.nodes
    assert.ok(node)
    return { ...rig, node, url: rig.balancer.url }
  }
  const idle = (rig: Awaited<ReturnType<typeof one>>) =>
    until('nothing is outstanding', () => rig.balancer.stats().inflight[rig.node.name] === 0)

  describe(`traffic: ${name}`, () => {
    test('requests that are sent ahead are answered in order, each whole', async () => {
      await using rig = await one()
      const held: (() => void)[] = []
      rig.node.answer = (req, res) => {
        const text = `${req.url?.split('?')[1]};`
        if (req.method === 'HEAD') res.setHeader('Content-Length', '3')
        if (req.url?.endsWith('?0')) held.push(() => res.end(text))
        else if (req.url?.endsWith('7')) res.writeHead(204).end()
        else if (req.url?.endsWith('8')) res.writeHead(304, { ETag: '"x"' }).end()
        else res.end(text)
      }
      const head = 'Host: h\r\nUser-Agent: t\r\n'
      const requests = Array.from({ length: 100 }, (_, i) => {
        const last = i === 99 ? 'Connection: close\r\n' : ''
        if (i % 10 === 5) return `HEAD ${call}?${i} HTTP/1.1\r\n${head}${last}\r\n`
        if (i % 10 === 6) return `POST ${call}?${i} HTTP/1.1\r\n${head}Content-Length: 2\r\n\r\nhi`
        return `GET ${call}?${i} HTTP/1.1\r\n${head}${last}\r\n`
      })
      const answers = sendRaw(rig.url, requests.join(''))
      const first = await until('the first is held', () => held[0])
      first()
      const got = await answers
      const bodies = [...got.matchAll(/(\d+);/g)].map(([, digits]) => Number(digits))
      const expected = Array.from({ length: 100 }, (_, i) => i).filter((i) => ![5, 7, 8].includes(i % 10))
      assert.deepEqual(bodies, expected)
      assert.equal([...got.matchAll(/HTTP\/1\.1 (200|204|304) /g)].length, 100)
    })

    test('who expects 100 hears it before sending, and then the answer', async () => {
      await using rig = await one()
      rig.node.answer = (_req, res, body) => res.end(`got ${body}`)
      using caller = talk(rig.url)
      caller.socket.write(
        `POST ${call} HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`,
      )
      await until('100', () => caller.seen().startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
      caller.socket.write('hi')
      await until('the answer', () => caller.seen().endsWith('got hi'))
      assert.equal(rig.node.seen[0]?.headers.expect, undefined)
    })

    test('what a node says before its answer is not taken for it', async () => {
      await using rig = await one()
      rig.node.answer = (_req, res) => {
        res.writeProcessing()
        res.writeEarlyHints({ link: '</x>; rel=preload' })
        res.end('answer')
      }
      const got = await send(rig.url + call)
      assert.deepEqual([got.status, got.text, got.headers['link']], [200, 'answer', undefined])
    })

    test('trailers reach who can read them', async () => {
      await using rig = await one()
      rig.node.answer = (_req, res) => {
        res.writeHead(200, { Trailer: 'X-Sum' })
        res.write('body')
        res.addTrailers({ 'X-Sum': '42', 'FXLB-WAIT': '1s' })
        res.end()
      }
      assert.deepEqual({ ...(await send(rig.url + call)).trailers }, { 'x-sum': '42' })
      const old = await sendRaw(rig.url, `GET ${call} HTTP/1.0\r\nHost: h\r\nUser-Agent: t\r\n\r\n`)
      assert.match(old, /\r\n\r\nbody$/)
    })

    test('a node that answers before it has read a large body is heard, and the caller is let go', async () => {
      await using rig = await one()
      for (const framing of ['Content-Length: 20971520', 'Transfer-Encoding: chunked']) {
        rig.node.stream = (req, res) => {
          res.writeHead(413).end('too large')
          req.resume()
        }
        using caller = talk(rig.url)
        caller.socket.write(`POST ${call} HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\n${framing}\r\n\r\n`)
        const chunk = framing.startsWith('T') ? `10000\r\n${'x'.repeat(65_536)}\r\n` : 'x'.repeat(65_536)
        for (let i = 0; i < 40; i++) caller.socket.write(chunk)
        await until('the answer', () => caller.seen().includes('too large'))
        assert.match(caller.seen(), /^HTTP\/1\.1 413 /)
        rig.node.stream = undefined
        assert.equal((await send(rig.url + call)).status, 200)
        await idle(rig)
      }
    })

    test('a caller that goes away in the middle of its upload leaves a broken request, never a short one', async () => {
      await using rig = await one()
      for (const framing of ['Content-Length: 1000000', 'Transfer-Encoding: chunked']) {
        const arrived = Promise.withResolvers<IncomingMessage>()
        const ended = Promise.withResolvers<boolean>()
        rig.node.stream = (req) => {
          req.on('data', () => arrived.resolve(req))
          req.on('error', () => {})
          req.on('close', () => ended.resolve(req.complete))
        }
        using caller = talk(rig.url)
        caller.socket.write(
          `POST ${call} HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\n${framing}\r\n\r\n3\r\nabc\r\n`,
        )
        await arrived.promise
        caller.socket.destroy()
        assert.equal(await ended.promise, false)
        await idle(rig)
      }
    })

    test('a caller that reads slowly holds the node back, and loses nothing', async () => {
      await using rig = await one()
      const total = 64 * MIB
      let written = 0
      rig.node.stream = (_req, res) => {
        res.setHeader('Content-Length', total)
        const fill = () => {
          while (written < total) {
            written += 65_536
            if (!res.write(Buffer.alloc(65_536, written / 65_536))) return void res.once('drain', fill)
          }
          res.end()
        }
        fill()
      }
      using caller = talk(rig.url, 'counts')
      caller.socket.pause()
      caller.socket.write(`GET ${call} HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nConnection: close\r\n\r\n`)
      const ahead = await stands(() => written)
      assert.ok(ahead < total / 2, `${ahead} bytes were written ahead of the reader`)
      caller.socket.resume()
      await caller.closed
      assert.ok(caller.bytes() > total && caller.bytes() < total + 2_000, `${caller.bytes()}`)
    })

    test('a node that reads slowly holds the caller back', async () => {
      await using rig = await one()
      const arrived = Promise.withResolvers<IncomingMessage>()
      rig.node.stream = (req, res) => {
        req.pause()
        req.on('end', () => res.end('read'))
        arrived.resolve(req)
      }
      const total = 64 * MIB
      using caller = talk(rig.url)
      caller.socket.write(
        `POST ${call} HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nContent-Length: ${total}\r\n\r\n`,
      )
      let written = 0
      const fill = () => {
        while (written < total) {
          written += 65_536
          if (!caller.socket.write(Buffer.alloc(65_536))) return void caller.socket.once('drain', fill)
        }
      }
      fill()
      const there = await arrived.promise
      const ahead = await stands(() => written)
      assert.ok(ahead < total / 2, `${ahead} bytes were taken ahead of the node`)
      there.resume()
      await until('the answer', () => caller.seen().endsWith('read'), 30_000)
    })

    test('the head of an answer arrives before its first byte', async () => {
      await using rig = await one()
      const held = Promise.withResolvers<() => void>()
      rig.node.stream = (_req, res) => {
        res.flushHeaders()
        held.resolve(() => res.end('late'))
      }
      using caller = talk(rig.url)
      caller.socket.write(`GET ${call} HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\n\r\n`)
      const finish = await held.promise
      await until('the head', () => caller.seen().includes('\r\n\r\n'))
      finish()
      await until('the body', () => caller.seen().includes('late'))
    })

    for (const version of ['1.0', '1.1'])
      test(`an answer that breaks off is broken for a caller of HTTP/${version}`, async () => {
        await using rig = await one()
        rig.node.answer = (req, res) => {
          res.write('half')
          setImmediate(() => req.socket.destroy())
        }
        const request = `GET ${call} HTTP/${version}\r\nHost: h\r\nUser-Agent: t\r\nConnection: close\r\n\r\n`
        const got = await sendRaw(rig.url, request).catch((error: NodeJS.ErrnoException) => error.code)
        if (version === '1.0') assert.equal(got, 'ECONNRESET')
        else assert.doesNotMatch(got ?? '', /0\r\n\r\n$/)
      })
  })
}

interface Caller extends Disposable {
  readonly socket: Socket
  /** What has come, as latin1. */
  seen(): string
  bytes(): number
  readonly closed: Promise<void>
}

/** A raw connection; reads all that comes unless it only counts. */
function talk(url: string, mode: 'keeps' | 'counts' = 'keeps'): Caller {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let text = ''
  let bytes = 0
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (mode === 'keeps') text += chunk.toString('latin1')
  })
  return {
    socket,
    seen: () => text,
    bytes: () => bytes,
    closed,
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

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
