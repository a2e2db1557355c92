/** One answer of a benchmark: a ratio against a baseline of the same run, or a size with its limit. */
export interface Row {
  readonly what: string
  readonly baseline: string
  readonly measured: string
  readonly ratio: number
  /** The promise that the ratio must keep; absent where none is made. */
  readonly atMost?: number
}

export interface Benchmark {
  /** What it answers, as a question. */
  readonly question: string
  /** What a reader has to know beside the table. */
  readonly note?: string
  readonly run: () => Promise<Row[]>
}

/** A Markdown table; a promise that was not kept is marked. */
export function formatRows({ question, note }: Benchmark, rows: readonly Row[]): string {
  const head = ['what', 'baseline', 'Sluice', 'ratio', 'promise', '']
  const lines = rows.map(({ what, baseline, measured, ratio, atMost }) => [
    what,
    baseline,
    measured,
    ratio.toFixed(2),
    atMost === undefined ? '' : `≤ ${atMost}`,
    atMost === undefined ? '' : ratio <= atMost ? 'kept' : '**not kept**',
  ])
  return [
    `### ${question}`,
    '',
    ...[head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`),
    '',
    ...(note === undefined ? [] : [note, '']),
  ].join('\n')
}

/** The value at a share of a list, 0…1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number
}
