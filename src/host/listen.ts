import type { Server } from 'node:http'
import type { Server as NetServer } from 'node:net'
import { SluiceError } from '../core/errors.ts'
import { systemDescriptors } from './descriptors.ts'

export interface Address {
  readonly host: string
  /** 0 = any free one. */
  readonly port: number
}

/** `host:port`, with the brackets that an IPv6 address needs. */
export const formatAddress = ({ host, port }: Address): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** The reverse of {@link formatAddress}; `undefined` unless the text is a host, a colon and a port. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host !== undefined && port <= 65_535 ? { host, port } : undefined
}

/** Whether only this machine can reach an address. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)

/** Of connections to one server, by what this process may open. */
const MOST: number = Math.floor(systemDescriptors.limit / 5)

/**
 * Listens, and says where. It takes so many connections that what they need besides can be opened too: a call takes
 * up to three here, a container about five. Beyond that one is closed before anything was read of it.
 * @throws SluiceError `address` naming the address and the reason
 */
export function listen(server: NetServer, { host, port }: Address): Promise<Address> {
  server.maxConnections = Math.min(server.maxConnections ?? Number.POSITIVE_INFINITY, MOST)
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      const where = formatAddress({ host, port })
      const why =
        error.code === 'EADDRINUSE'
          ? `${where} is already in use`
          : `cannot listen on ${where}: ${error.code === 'EACCES' ? 'permission denied' : error.message}`
      reject(new SluiceError('address', why, { cause: error }))
    }
    server.once('error', failed)
    server.listen({ host, port }, () => {
      server.off('error', failed)
      const bound = server.address()
      resolve({ host, port: typeof bound === 'object' && bound ? bound.port : port })
    })
  })
}

/** Ends a server with all its connections, whatever they are at. Twice is fine. */
export function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
