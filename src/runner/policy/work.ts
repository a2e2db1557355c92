/** What deciding has cost so far, in pools, containers and comparisons: the same number on every machine. */
export interface Work {
  steps: number
}
