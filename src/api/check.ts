import { SluiceError } from '../core/errors.ts'

/**
 * Refuses what breaks a rule.
 * @param message what clients match on
 * @param field the thing and its field: `app name`
 * @param rule what comes after "must": `be given`
 * @throws SluiceError `invalid`; its detail reads `app name must be given, got ""`
 */
export function check(ok: boolean, message: string, field: string, rule: string, value: unknown): void {
  if (!ok) throw new SluiceError('invalid', message, { detail: `${field} must ${rule}, got ${quote(value)}` })
}

/** A value as JSON, cut where it gets long. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length <= 100 ? text : `${text.slice(0, 100)}… (${text.length} characters)`
}

/** The length that the limits of the API are about. */
export const byteLength = (text: string): number => Buffer.byteLength(text)
