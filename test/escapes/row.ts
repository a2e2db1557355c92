import type { Result } from './program.ts'

/** One attempt: it must be denied in the sandbox, and get through where its control says. */
export interface Row {
  /** As `attempts.c` takes it. */
  readonly attempt: string
  readonly what: string
  readonly control: Control
  /** What must have stopped it, where that tells the defence. @default anything */
  readonly errno?: number
}

/**
 * Where the same attempt gets through, which shows that it is a real one:
 * as root or as a user on this machine; in the same sandbox without the filter of system calls; as another attempt in
 * the same sandbox; or nowhere, and why.
 */
export type Control =
  | { readonly where: 'root' /** A right of root's that is not everywhere. */; readonly capability?: number }
  | { readonly where: 'user' }
  | { readonly where: 'no filter' }
  | { readonly where: 'inside'; readonly attempt: string }
  | { readonly where: 'nowhere'; readonly because: string }

export const asRoot: Control = { where: 'root' }
export const asUser: Control = { where: 'user' }
export const withoutFilter: Control = { where: 'no filter' }

export const inside = (attempt: string): Control => ({ where: 'inside', attempt })
export const nowhere = (because: string): Control => ({ where: 'nowhere', because })

export const EPERM = 1
export const ENOSYS = 38
const EPROTONOSUPPORT = 93
export const EAFNOSUPPORT = 97
const SIGSEGV = 11

/** Whether the kernel itself lacks what was asked for, and not only somebody the right to it. */
export const isLacking = ({ errno, signal }: Result): boolean =>
  [ENOSYS, EPROTONOSUPPORT, EAFNOSUPPORT].includes(errno) || signal === SIGSEGV
