import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import type { FunctionNode } from '../../src/node/node.ts'
import { INVOKE, setUpNode } from '../support/node-rig.ts'

const MIB = 1024 * 1024
const SIZE = 100 * MIB

/** Uploads 100 MiB as fast as it is taken, reading what comes; what came until the connection was closed. */
function upload({ address }: FunctionNode, target: string, headers = ''): Promise<string> {
  const socket = connect(address.port, address.host)
  const chunk = Buffer.alloc(64 * 1024)
  let sent = 0
  let seen = ''
  const push = () => {
    while (sent < SIZE && !socket.destroyed) {
      sent += chunk.length
      if (!socket.write(chunk)) return
    }
  }
  socket.write(`POST ${target} HTTP/1.1\r\nHost: localhost\r\n${headers}Content-Length: ${SIZE}\r\n\r\n`)
  push()
  socket.on('drain', push).setEncoding('latin1')
  socket.on('data', (text) => {
    seen += text
  })
  return new Promise((resolve) => socket.on('error', () => {}).on('close', () => resolve(seen)))
}

/** Answers without having read the body, and reads no more. */
const early = (length: boolean) =>
  createServer((connection) => {
    connection
      .on('error', () => {})
      .once('data', () => {
        connection.pause()
        const chunked = 'Transfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n0\r\n\r\n'
        connection.write(`HTTP/1.1 200 OK\r\n${length ? 'Content-Length: 5\r\n\r\nearly' : chunked}`)
      })
  })

for (const [name, length] of [
  ['with a length', true],
  ['in chunks', false],
] as const)
  test(`a function that answers ${name} before a large upload has ended leaves its caller with the whole answer, and soon`, {
    timeout: 30_000,
  }, async (t) => {
    const { node } = await setUpNode(t, early(length))
    const seen = await upload(node, INVOKE)
    assert.match(seen, /^HTTP\/1\.1 200 /)
    assert.match(seen, length ? /\r\n\r\nearly$/ : /early/)
  })

for (const [name, target, status, over] of [
  ['a function that is not there', '/invoke/none', 404, {}],
  ['a path that is none', '/t/', 404, {}],
  ['a body that is too large', INVOKE, 413, { maxRequestSize: MIB }],
] as const)
  test(`a refusal of a large upload for ${name} arrives whole, and the connection is closed`, async (t) => {
    const { node } = await setUpNode(t, early(true), { node: over })
    const seen = await upload(node, target)
    const [head = '', body = ''] = seen.split('\r\n\r\n')
    assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.match(head, /^connection: close$/im)
    assert.equal(body.length, Number(/content-length: (\d+)/i.exec(head)?.[1]))
  })
