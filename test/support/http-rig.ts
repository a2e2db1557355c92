import assert from 'node:assert/strict'
import type { Connection, Exchange, FunctionRequest } from '../../src/runner/protocols/exchange.ts'
import { connectHttp } from '../../src/runner/protocols/http.ts'
import { FakeContainer, makeRequest, Recorder } from './stdio-rig.ts'
import { until } from './until.ts'

export const MIB: number = 1024 * 1024
export const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'

export interface HttpCall {
  readonly container: FakeContainer
  readonly connection: Connection
  readonly recorder: Recorder
  readonly exchange: Exchange
}

/** One call over a container of its own. */
export function call(
  over: Partial<FunctionRequest> = {},
  container: FakeContainer = new FakeContainer().listen(),
): HttpCall {
  const connection = connectHttp(container)
  const recorder = new Recorder()
  const exchange = connection.exchange(makeRequest(over), recorder, recorder)
  return { container, connection, recorder, exchange }
}

/** A call that was answered with this text. */
export async function answered(text: string, over: Partial<FunctionRequest> = {}): Promise<HttpCall> {
  const rig = call(over)
  await heardHead(rig.container)
  rig.container.say(text)
  await rig.recorder.settlement
  return rig
}

export const heardHead = (container: FakeContainer): Promise<boolean> =>
  until('the request', () => container.heard.includes('\r\n\r\n'))

export const header = (container: FakeContainer, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)\r$`, 'm').exec(container.heard)?.[1]

/** The container takes another call, and answers it. */
export async function assertServes(container: FakeContainer, connection: Connection): Promise<void> {
  container.heard = ''
  const recorder = new Recorder()
  connection.exchange(makeRequest(), recorder, recorder)
  await heardHead(container)
  container.say(HELLO)
  assert.equal(await recorder.settlement, 'keep')
  assert.equal(recorder.body, 'hello')
}

/** The next call on this connection fails without a byte of it being written. */
export async function assertRefuses(
  container: FakeContainer,
  connection: Connection,
): Promise<string | undefined> {
  container.heard = ''
  const recorder = new Recorder()
  connection.exchange(makeRequest(), recorder, recorder)
  assert.equal(await recorder.settlement, 'discard')
  assert.equal(container.heard, '')
  return recorder.failure
}
