import { SluiceError } from '../../core/errors.ts'

/** One phase of the demo, as far as it is promised. */
export interface PhaseReport {
  readonly calls: number
  readonly failed: number
  readonly nodes: Readonly<Record<string, number>>
}

export interface Phases {
  readonly calm: PhaseReport
  readonly busy: PhaseReport
  /** While the calls come back to their home node. */
  readonly back: PhaseReport
  readonly after: PhaseReport
}

interface Promised {
  readonly text: string
  readonly kept: boolean
  /** Waits decide it, and where others have the CPU, waits are theirs. */
  readonly needsQuiet: boolean
}

/**
 * Holds the phases against what is promised.
 * @param isBusy whether the machine's CPUs were busy with something else
 * @returns the promises that were not kept and could not be judged either, since the machine is busy
 * @throws SluiceError `unmet` naming the first promise that was not kept
 */
export function checkPromises({ calm, busy, back, after }: Phases, isBusy: boolean): string[] {
  const home = Object.entries(calm.nodes).toSorted((a, b) => b[1] - a[1])[0]?.[0] as string
  const shareOf = ({ nodes, calls }: PhaseReport, node: string) => (nodes[node] ?? 0) / calls
  const spread = Object.keys(busy.nodes).filter((node) => shareOf(busy, node) >= 0.15).length
  const promises: readonly Promised[] = [
    {
      text: 'no call fails',
      kept: calm.failed + busy.failed + back.failed + after.failed === 0,
      needsQuiet: false,
    },
    {
      text: 'while calm, 95 % of the calls land on one node',
      kept: shareOf(calm, home) >= 0.95,
      needsQuiet: true,
    },
    { text: 'while busy, at least two nodes take 15 % each', kept: spread >= 2, needsQuiet: false },
    {
      text: 'afterwards, 80 % of the calls are back on the home node',
      kept: shareOf(after, home) >= 0.8,
      needsQuiet: true,
    },
  ]
  const broken = promises.filter(({ kept }) => !kept)
  const first = broken.find(({ needsQuiet }) => !needsQuiet || !isBusy)
  if (first)
    throw new SluiceError('unmet', `not as promised: ${first.text}`, {
      detail: JSON.stringify({ calm, busy, back, after }),
    })
  return broken.map(({ text }) => text)
}
