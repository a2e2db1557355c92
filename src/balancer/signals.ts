import {
  ORIGINS,
  type Origin,
  parseWait,
  REJECTS,
  type Reject,
  totalWait,
  type Wait,
} from '../core/headers.ts'
import { type Load, parseLoad } from '../core/load.ts'
import { parseDuration } from '../core/units.ts'
import type { Reply } from './heads.ts'

/** Longer than any call may wait: a wait beyond it is a node's nonsense. */
const MAX_WAIT = 360_000

/** Of a function's id and a trigger's source, which is percent-encoded. */
const FUNCTION = /^([\w-]{1,64})(?: (\/\S{0,4095}))?$/

/** What a call's path was resolved to. */
export interface ResolvedFunction {
  readonly id: string
  /** Of the trigger; `undefined` for a call by id. */
  readonly source: string | undefined
}

/** What a node said with a reply. Whatever does not parse was not said. */
export interface Signals {
  readonly wait: Wait | undefined
  readonly load: Load | undefined
  readonly reject: Reject | undefined
  readonly origin: Origin | undefined
  readonly function: ResolvedFunction | undefined
}

export const readSignals = (reply: Reply): Signals => ({
  wait: waitOf(reply),
  load: reply.load === undefined ? undefined : parseLoad(reply.load),
  reject: REJECTS.find((word) => word === reply.reject),
  origin: ORIGINS.find((word) => word === reply.origin),
  function: functionOf(reply.function),
})

function functionOf(text: string | undefined): ResolvedFunction | undefined {
  const [, id, encoded] = (text !== undefined && FUNCTION.exec(text)) || []
  if (id === undefined) return undefined
  try {
    return { id, source: encoded && decodeURI(encoded) }
  } catch {
    return { id, source: undefined }
  }
}

/** The three clocks, or the total alone as the balancers of 2017 sent it. */
function waitOf({ clocks, wait }: Reply): Wait | undefined {
  const parsed = (clocks === undefined ? undefined : parseWait(clocks)) ?? totalOf(wait)
  return parsed && totalWait(parsed) <= MAX_WAIT ? parsed : undefined
}

function totalOf(text: string | undefined): Wait | undefined {
  const ms = text === undefined ? undefined : parseDuration(text)
  return ms !== undefined && ms >= 0 ? { queue: ms, start: 0, fetch: 0 } : undefined
}
