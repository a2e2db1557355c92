import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { SluiceError } from '../core/errors.ts'
import { Passage, type Plane } from './passage.ts'

/** Bytes of a request's head. */
const MAX_HEAD = 131_072
/** Milliseconds that a client may take to send a request: as long as a call may take. */
const REQUEST_TIMEOUT = 360_000
const HEAD_TIMEOUT = 60_000
const KEEP_ALIVE = 75_000

/** The data port. Every request becomes a {@link Passage}. */
export function dataServer(plane: Plane): Server {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEAD,
      requestTimeout: REQUEST_TIMEOUT,
      headersTimeout: HEAD_TIMEOUT,
      keepAliveTimeout: KEEP_ALIVE,
      noDelay: true,
      // Without this a request that asks for an upgrade would be answered by nobody.
      shouldUpgradeCallback: () => false,
    },
    (req, res) => serve(plane, req, res),
  )
  server.maxHeadersCount = 0 // the size is limit enough
  return server
}

function serve(plane: Plane, req: IncomingMessage, res: ServerResponse): void {
  const target = originForm(req)
  if (target === '*') {
    res.writeHead(204).end()
    return
  }
  const passage = new Passage(plane, req, res, target ?? '/')
  if (target === undefined)
    passage.refuse(new SluiceError('invalid', undefined, { detail: 'cannot read the request target' }))
  else if (asksUpgrade(req))
    passage.refuse(new SluiceError('unsupported', undefined, { detail: `Upgrade: ${req.headers.upgrade}` }))
  else if (isAdmin(target)) passage.refuse(new SluiceError('path-not-found'))
  else passage.start()
}

/** Path and query, also of a target that names its host; `*` of `OPTIONS *`. */
function originForm(req: IncomingMessage): string | undefined {
  const target = req.url as string
  if (target.startsWith('/')) return target
  if (target === '*' && req.method === 'OPTIONS') return target
  const absolute = /^https?:\/\/[^/?#]+(.*)$/i.exec(target)
  if (!absolute) return undefined
  const rest = absolute[1] as string
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** An offer of HTTP/2 may be passed over in silence; anything else its sender depends on. */
function asksUpgrade(req: IncomingMessage): boolean {
  const { upgrade } = req.headers
  return upgrade !== undefined && upgrade.toLowerCase() !== 'h2c'
}

/** Of the admin port only, and no node's business. */
const isAdmin = (target: string): boolean => /^\/1\/lb(?:[/?]|$)/.test(target)
