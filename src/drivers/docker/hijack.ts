import type { Duplex } from 'node:stream'
import { type Address, beginPost, refusal } from './post.ts'

/**
 * Makes an empty POST that turns its connection into a plain stream. (dockerode sends its options as a body here, which
 * podman takes for the first of the stream.)
 * @throws an error like dockerode's, with `statusCode` and `json`, when the engine refuses
 */
export function hijack(address: Address, path: string, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const req = beginPost(address, path, signal, { Connection: 'Upgrade', Upgrade: 'tcp' })
    req.once('error', reject)
    req.once('response', (res) => refusal(res).then(reject, reject))
    req.once('upgrade', (_res, socket, head) => {
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
  })
}
