import { LRUCache } from 'lru-cache'
import { matchSource, SourceTable, type Target } from '../core/routes.ts'

/** Bytes of all that is learned, and of one app's share of it. */
const MAX_BYTES = 16 * 1_048_576
const MAX_OF_APP = 4 * 1_048_576
/** About what a source costs besides its text: its branches, its entry. */
const OVERHEAD = 512

export type TriggerTarget = Extract<Target, { kind: 'trigger' }>

/** One app's sources as far as nodes have told them. Never changed: a new one takes its place. */
interface App {
  readonly table: SourceTable
  readonly functions: ReadonlyMap<string, string>
  readonly bytes: number
}

/**
 * Which function a trigger's path belongs to, learned from what nodes say they resolved paths to, and matched as nodes
 * match. Wrong only while a trigger has just been changed. Bounded in bytes: the app not called for longest goes.
 */
export class LearnedRoutes {
  readonly #apps: LRUCache<string, App>

  constructor(maxBytes: number = MAX_BYTES) {
    this.#apps = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: Math.min(maxBytes, MAX_OF_APP),
      sizeCalculation: ({ bytes }, name) => bytes + sizeOf(name),
    })
  }

  /** Bytes that it holds. */
  get bytes(): number {
    return this.#apps.calculatedSize
  }

  /** The id of the function, `undefined` until a node told. */
  find({ app, path }: TriggerTarget): string | undefined {
    const known = this.#apps.get(app)
    const match = known?.table.match(path)
    return match && known?.functions.get(match.source)
  }

  /** A node resolved this target to a function by a source. */
  learn({ app: name, path }: TriggerTarget, source: string, fn: string): void {
    const known = this.#apps.get(name)
    const match = known?.table.match(path)
    if (match?.source === source && known?.functions.get(source) === fn) return
    if (matchSource([source], path) === undefined) return
    const functions = new Map(known?.functions).set(source, fn)
    let app = appOf(functions)
    // What takes the path here and did not at the node is a trigger that is no more.
    for (let match = app.table.match(path); match && match.source !== source; match = app.table.match(path)) {
      functions.delete(match.source)
      app = appOf(functions)
    }
    this.#apps.set(name, app)
  }
}

function appOf(functions: ReadonlyMap<string, string>): App {
  let bytes = 0
  for (const [source, fn] of functions) bytes += sizeOf(source) + sizeOf(fn)
  return { table: new SourceTable(functions.keys()), functions, bytes }
}

const sizeOf = (text: string): number => 2 * text.length + OVERHEAD
