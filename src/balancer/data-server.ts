import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { SluiceError } from '../core/errors.ts'
import { originForm } from '../core/routes.ts'
import { type TokenCheck, tokenCheck } from '../host/token.ts'
import { asksAhead, wayOf } from './door.ts'
import { Passage, type Plane } from './passage.ts'

/** Bytes of a request's head. */
const MAX_HEAD = 131_072
/** Milliseconds that a client may take to send a request: as long as a call may take. */
const REQUEST_TIMEOUT = 360_000
const HEAD_TIMEOUT = 60_000
const KEEP_ALIVE = 75_000

/**
 * The data port. Every request becomes a {@link Passage}.
 * @param token asked for before anything is forwarded but calls, `/version` and `/healthz`: nodes behind the balancer
 *   may have none
 */
export function dataServer(plane: Plane, token: string | undefined): Server {
  const allowed = tokenCheck(token)
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
    (req, res) => serve(plane, allowed, req, res),
  )
  server.maxHeadersCount = 0 // the size is limit enough
  return server
}

function serve(plane: Plane, allowed: TokenCheck, req: IncomingMessage, res: ServerResponse): void {
  if (req.url === '*' && req.method === 'OPTIONS') {
    res.writeHead(204).end()
    return
  }
  const target = originForm(req.url as string)
  const passage = new Passage(plane, req, res, target ?? '/')
  const refusal = refuse(req, target, allowed)
  if (refusal) passage.refuse(refusal)
  else passage.start()
}

function refuse(
  req: IncomingMessage,
  target: string | undefined,
  allowed: TokenCheck,
): SluiceError | undefined {
  if (target === undefined)
    return new SluiceError('invalid', undefined, { detail: 'cannot read the request target' })
  if (asksUpgrade(req))
    return new SluiceError('unsupported', undefined, { detail: `Upgrade: ${req.headers.upgrade}` })
  const way = wayOf(target)
  if (way === 'closed') return new SluiceError('path-not-found')
  if (way === 'guarded' && !allowed(req.headers.authorization) && !asksAhead(req))
    return new SluiceError('unauthorized')
  return undefined
}

/** An offer of HTTP/2 may be passed over in silence; anything else its sender depends on. */
function asksUpgrade(req: IncomingMessage): boolean {
  const { upgrade } = req.headers
  return upgrade !== undefined && upgrade.toLowerCase() !== 'h2c'
}
