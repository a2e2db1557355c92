type Keyed<V> = Readonly<Record<string, V>>

/** `current` with the keys of `change`: one set to "" or null goes, the others replace. */
export function mergeKeys<V>(current: Keyed<V>, change: Keyed<V> = {}): Keyed<V> {
  const kept = Object.entries({ ...current, ...change }).filter(
    ([key, value]) => !Object.hasOwn(change, key) || (value !== '' && value !== null),
  )
  return Object.fromEntries(kept)
}

/** What is left out of a reply when it is empty. */
export const unlessEmpty = <V>(keyed: Keyed<V>): Keyed<V> | undefined =>
  Object.keys(keyed).length > 0 ? keyed : undefined
