import { connect, type Socket } from 'node:net'
import type { FunctionNode } from '../../src/node/node.ts'

/** A connection to a node. What comes back is read, as latin1, until it is told not to. */
export interface RawCaller {
  readonly socket: Socket
  /** What has come so far. */
  readonly seen: () => string
  /** Resolves with all that came, when the connection is closed. */
  readonly closed: Promise<string>
}

/** Connects and writes bytes, given as latin1. */
export function rawCaller({ address }: FunctionNode, bytes: string): RawCaller {
  const socket = connect(address.port, address.host)
  let seen = ''
  const { promise: closed, resolve } = Promise.withResolvers<string>()
  socket
    .setEncoding('latin1')
    .on('data', (chunk) => {
      seen += chunk
    })
    .on('error', () => {})
    .on('close', () => resolve(seen))
    .write(bytes, 'latin1')
  return { socket, seen: () => seen, closed }
}

/** A whole request with a length; `headers` are complete lines. */
export const requestOf = (target: string, body = '', headers = '', method = 'POST'): string =>
  `${method} ${target} HTTP/1.1\r\nHost: node.test\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`
