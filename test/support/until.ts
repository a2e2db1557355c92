import { setTimeout as delay } from 'node:timers/promises'

/** Waits until `condition` returns something truthy and returns that; rejects after `limitMs` saying what it waited for. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  limitMs = 10_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + limitMs
  for (;;) {
    const value = await condition()
    if (value) return value as NonNullable<T>
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms for ${what}`)
    await delay(5)
  }
}
