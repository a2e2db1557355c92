import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'

/** Where an engine is, for `node:http`. */
export type Address = Pick<RequestOptions, 'agent' | 'host' | 'port' | 'socketPath' | 'protocol'>

/**
 * Makes an empty POST that turns its connection into a plain stream. (dockerode sends its options as a body here, which
 * podman takes for the first of the stream.)
 * @throws an error like dockerode's, with `statusCode` and `json`, when the engine refuses
 */
export function hijack(address: Address, path: string, signal: AbortSignal): Promise<Duplex> {
  const request = address.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    const headers = { Connection: 'Upgrade', Upgrade: 'tcp', 'Content-Length': 0 }
    const req = request({ ...address, method: 'POST', path, headers, signal })
    req.once('error', reject)
    req.once('response', (res) => refusal(res).then(reject, reject))
    req.once('upgrade', (_res, socket, head) => {
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    req.end()
  })
}

async function refusal(res: IncomingMessage): Promise<Error> {
  const body = await text(res)
  const error = new Error(`HTTP code ${res.statusCode}: ${body.trim()}`)
  return Object.assign(error, { statusCode: res.statusCode, json: parse(body) })
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body) ?? undefined
  } catch {
    return undefined
  }
}
