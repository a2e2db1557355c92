import { findBubblewrap } from '../../src/drivers/sandbox/bubblewrap.ts'

/** Why a suite that needs the sandbox is skipped here; `false` where it is possible. */
export function canSandbox(): string | false {
  if (findBubblewrap()) return false
  if (process.env['CI']) throw new Error('bubblewrap is not installed')
  return 'no bubblewrap: install it'
}
