import { SluiceError } from '../core/errors.ts'
import { faultOfTarget, isCall, originForm } from '../core/routes.ts'
import { type TokenCheck, tokenCheck, unauthorized } from '../host/token.ts'
import type { Client, ClientHead, ClientServer, ClientServerFactory } from './client.ts'
import { asksAhead, wayOf } from './door.ts'
import { answerError } from './own-answer.ts'
import { Passage } from './passage.ts'
import type { Plane } from './plane.ts'

/**
 * The data port. Every request that may pass becomes a {@link Passage}.
 * @param token asked for before anything is forwarded but calls, `/version` and `/healthz`: nodes behind the balancer
 *   may have none
 */
export function dataServer(
  plane: Plane,
  clients: ClientServerFactory,
  token: string | undefined,
): ClientServer {
  const allowed = tokenCheck(token)
  return clients((client) => serve(plane, allowed, client))
}

function serve(plane: Plane, allowed: TokenCheck, client: Client): void {
  const { head } = client
  if (head.target === '*' && head.method === 'OPTIONS') {
    client.answer(204, 'No Content', [], plane.closing)
    client.end([])
    return
  }
  const target = originForm(head.target)
  const refusal = refuse(head, target, allowed)
  const call = target !== undefined && isCall(target)
  if (target === undefined || refusal)
    answerError(
      client,
      refusal ?? UNREADABLE,
      call ? { id: plane.makeId(), lb: 0 } : undefined,
      plane.closing,
    )
  else new Passage(plane, client, target, call).start()
}

const UNREADABLE = new SluiceError('invalid', undefined, { detail: 'cannot read the request target' })

function refuse(head: ClientHead, target: string | undefined, allowed: TokenCheck): SluiceError | undefined {
  if (target === undefined) return UNREADABLE
  if (asksUpgrade(head))
    return new SluiceError('unsupported', undefined, { detail: `Upgrade: ${head.field('upgrade')}` })
  const coding = head.field('transfer-encoding')
  // The field ends here, so the node would take what is coded for the body. (What does not end in chunked is no request.)
  if (coding !== undefined && /,\s*chunked\s*$/i.test(coding))
    return new SluiceError('unsupported', undefined, { detail: `Transfer-Encoding: ${coding}` })
  const way = wayOf(target)
  const fault = way === 'call' ? faultOfTarget(target) : undefined
  if (fault !== undefined) return new SluiceError('path-not-found', undefined, { detail: fault })
  if (way === 'closed') return new SluiceError('path-not-found')
  if (way === 'guarded' && !allowed(head.field('authorization')) && !asksAhead(head))
    return unauthorized(head.field('authorization'))
  return undefined
}

/** An offer of HTTP/2 may be passed over in silence; anything else its sender depends on. */
function asksUpgrade(head: ClientHead): boolean {
  const upgrade = head.field('upgrade')
  return upgrade !== undefined && upgrade.toLowerCase() !== 'h2c'
}
