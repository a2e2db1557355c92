import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { SluiceError } from '../core/errors.ts'
import { originForm } from '../core/routes.ts'
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
  if (req.url === '*' && req.method === 'OPTIONS') {
    res.writeHead(204).end()
    return
  }
  const target = originForm(req.url as string)
  const passage = new Passage(plane, req, res, target ?? '/')
  if (target === undefined)
    passage.refuse(new SluiceError('invalid', undefined, { detail: 'cannot read the request target' }))
  else if (asksUpgrade(req))
    passage.refuse(new SluiceError('unsupported', undefined, { detail: `Upgrade: ${req.headers.upgrade}` }))
  else if (isAdmin(target)) passage.refuse(new SluiceError('path-not-found'))
  else passage.start()
}

/** An offer of HTTP/2 may be passed over in silence; anything else its sender depends on. */
function asksUpgrade(req: IncomingMessage): boolean {
  const { upgrade } = req.headers
  return upgrade !== undefined && upgrade.toLowerCase() !== 'h2c'
}

/** Of the admin port only, and no node's business. */
const isAdmin = (target: string): boolean => /^\/1\/lb(?:[/?]|$)/.test(target)
