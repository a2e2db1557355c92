import type { Clock } from '../core/clock.ts'
import type { Definition } from './definition.ts'
import { type CallOrigin, environment2017 } from './protocols/environment.ts'
import type { Body, FunctionRequest } from './protocols/exchange.ts'

/** One call: what it brings. */
export interface Call {
  readonly id: string
  /** Raw header pairs for the function, without `Fn-Call-Id` and `Fn-Deadline`. */
  readonly headers: readonly string[]
  readonly body: Body | undefined
  /** Until when the caller wants the answer (ms of the clock). */
  readonly deadline: number | undefined
  /** What the caller asked for, in the words of 2017; only some formats ask. */
  readonly origin: () => CallOrigin
}

/** What goes to the function for a call, dispatched now. */
export function requestOf(
  definition: Definition,
  call: Call,
  { clock, maxResponseSize = 0 }: { readonly clock: Clock; readonly maxResponseSize?: number },
): FunctionRequest {
  const { fn } = definition
  const left = (call.deadline ?? Infinity) - clock.now()
  const timeoutMs = Math.max(0, Math.min(fn.timeout * 1_000, left))
  const deadline = formatDeadline(clock.wall() + timeoutMs)
  const headers = [...call.headers, 'Fn-Call-Id', call.id, 'Fn-Deadline', deadline]
  return {
    headers,
    body: call.body,
    timeoutMs,
    maxResponseSize,
    environment: () => environment2017({ definition, headers, origin: call.origin() }),
  }
}

let lastSecond = -1
let lastDeadline = ''

/** RFC 3339 in UTC, whole seconds, truncated. Made once a second: most calls of a second share it. */
function formatDeadline(ms: number): string {
  const second = Math.floor(ms / 1_000)
  if (second !== lastSecond) {
    lastSecond = second
    lastDeadline = `${new Date(second * 1_000).toISOString().slice(0, 19)}Z`
  }
  return lastDeadline
}
