import type { Clock } from '../../core/clock.ts'

/** How far a pull is. Neither `layersDone` nor `bytes` ever goes back, also when the engine tries again. */
export interface PullProgress {
  readonly ref: string
  readonly layersDone: number
  readonly layers: number
  /** Downloaded. */
  readonly bytes: number
  /** Of the layers whose size is known by now. */
  readonly total: number
}

/** One line of an engine's stream. */
export interface PullEvent {
  readonly id?: string
  readonly status?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
  readonly error?: string
  readonly errorDetail?: { readonly message?: string }
}

export interface ProgressMeter {
  add(event: PullEvent): void
  /** The pull has succeeded: the last report. */
  finish(): void
}

interface Layer {
  bytes: number
  total: number
  done: boolean
}

const INTERVAL = 250

/** Sums up what an engine says of single layers; reports every 250 ms at the most, and at the end. */
export function progressMeter(
  ref: string,
  clock: Clock,
  report: (progress: PullProgress) => void,
): ProgressMeter {
  const layers = new Map<string, Layer>()
  let reported = Number.NEGATIVE_INFINITY

  const emit = () => {
    reported = clock.now()
    const all = [...layers.values()]
    const sum = (value: (layer: Layer) => number) => all.reduce((total, layer) => total + value(layer), 0)
    report({
      ref,
      layersDone: sum(({ done }) => Number(done)),
      layers: all.length,
      bytes: sum(({ bytes }) => bytes),
      total: sum(({ total }) => total),
    })
  }

  return {
    add({ id, status = '', progressDetail = {} }) {
      // The first line has the tag where others have a layer.
      if (id === undefined || status.startsWith('Pulling from')) return
      const layer = layers.get(id) ?? { bytes: 0, total: 0, done: false }
      layers.set(id, layer)
      advance(layer, status, progressDetail)
      if (clock.now() - reported >= INTERVAL) emit()
    },
    finish() {
      for (const layer of layers.values()) advance(layer, 'Pull complete', {})
      emit()
    },
  }
}

function advance(
  layer: Layer,
  status: string,
  { current = 0, total = 0 }: NonNullable<PullEvent['progressDetail']>,
): void {
  if (status === 'Downloading') {
    layer.bytes = Math.max(layer.bytes, current)
    layer.total = Math.max(layer.total, total, layer.bytes)
  }
  if (['Download complete', 'Pull complete', 'Already exists'].includes(status)) layer.bytes = layer.total
  if (['Pull complete', 'Already exists'].includes(status)) layer.done = true
}
