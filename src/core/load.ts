import { fieldOf } from './headers.ts'

/**
 * What a node says of itself: with every reply, of the function that was called; on `/node/load`, of all functions.
 * `Idle` is what it says of idle instances: how many, or how many by function.
 */
export interface Load<Idle = number> {
  /** Calls that run. */
  readonly run: number
  /** Calls that wait. */
  readonly queue: number
  /** Calls it can run at once. */
  readonly cap: number
  /** After this call, when it is said with a reply. */
  readonly idle: Idle
  /** Names this start of the node: a restart forgets everything. */
  readonly boot: string
  /** Grows; an older report never replaces a newer one of the same boot. */
  readonly seq: number
}

/** What `/node/load` answers, idle instances by the ids of functions. */
export interface LoadDigest extends Load<Readonly<Record<string, number>>> {
  readonly draining: boolean
  /** `full`: functions that are not named have none. `delta`: those keep what was told before. */
  readonly kind: 'full' | 'delta'
}

const BOOT = /^[\w-]{1,64}$/

export const formatLoad = (load: Load): string =>
  `run=${load.run},queue=${load.queue},cap=${load.cap},idle=${load.idle},boot=${load.boot},seq=${load.seq}`

/** The reverse of {@link formatLoad}; `undefined` when a field is missing or no count. */
export function parseLoad(text: string): Load | undefined {
  const run = count(fieldOf(text, 'run'))
  const queue = count(fieldOf(text, 'queue'))
  const cap = count(fieldOf(text, 'cap'))
  const idle = count(fieldOf(text, 'idle'))
  const seq = count(fieldOf(text, 'seq'))
  const boot = fieldOf(text, 'boot')
  if (run === undefined || queue === undefined || cap === undefined || idle === undefined) return undefined
  if (seq === undefined || boot === undefined || !BOOT.test(boot)) return undefined
  return { run, queue, cap, idle, boot, seq }
}

/** What the text of an answer of `/node/load` says, which is JSON; `undefined` unless it is such an answer. */
export function parseDigest(text: string): LoadDigest | undefined {
  const value = parseObject(text)
  if (!value || typeof value['draining'] !== 'boolean' || typeof value['boot'] !== 'string') return undefined
  const { run, queue, cap, seq, draining, boot } = value
  const idle = value['idle'] ?? {}
  if (!isCount(run) || !isCount(queue) || !isCount(cap) || !isCount(seq)) return undefined
  if (!isRecord(idle) || !BOOT.test(boot as string)) return undefined
  const counts = Object.entries(idle).filter((entry): entry is [string, number] => isCount(entry[1]))
  const kind = value['kind'] === 'delta' ? 'delta' : 'full'
  return { kind, run, queue, cap, seq, draining, boot: boot as string, idle: Object.fromEntries(counts) }
}

function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
