import { once } from 'node:events'
import {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
  request as requestHttp,
} from 'node:http'
import { request as requestHttps } from 'node:https'
import { text } from 'node:stream/consumers'

/** Where an engine is, for `node:http`. */
export type Address = Pick<RequestOptions, 'agent' | 'host' | 'port' | 'socketPath' | 'protocol'>

/**
 * Makes an empty POST and waits for the end of its answer. Rejects also when the connection breaks in the middle of
 * the answer, where dockerode would wait for ever: an engine may begin an answer long before it knows how it ends.
 * @throws an error like dockerode's, with `statusCode` and `json`, when the engine refuses
 */
export async function post(address: Address, path: string, signal: AbortSignal): Promise<void> {
  const req = beginPost(address, path, signal)
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  req.on('error', () => {}) // the answer tells it too
  if ((res.statusCode ?? 0) >= 400) throw await refusal(res)
  await text(res)
}

export function beginPost(
  address: Address,
  path: string,
  signal: AbortSignal,
  headers: OutgoingHttpHeaders = {},
): ClientRequest {
  const request = address.protocol === 'https:' ? requestHttps : requestHttp
  const req = request({
    ...address,
    method: 'POST',
    path,
    headers: { ...headers, 'Content-Length': 0 },
    signal,
  })
  req.end()
  return req
}

export async function refusal(res: IncomingMessage): Promise<Error> {
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
