/** Counts the turns of the event loop until it is disposed: few while something long has blocked it. */
export function countTurns(): Disposable & { readonly count: number } {
  let count = 0
  const next = () => {
    count++
    turn = setImmediate(next)
  }
  let turn = setImmediate(next)
  return {
    get count() {
      return count
    },
    [Symbol.dispose]: () => clearImmediate(turn),
  }
}
