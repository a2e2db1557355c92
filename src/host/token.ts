import { createHash, timingSafeEqual } from 'node:crypto'
import { SluiceError } from '../core/errors.ts'

/** Answers whether an `Authorization` header carries the token, in a time that tells nothing about it. */
export type TokenCheck = (authorization: string | undefined) => boolean

/** @param token without one everybody passes: for loopback only */
export function tokenCheck(token: string | undefined): TokenCheck {
  if (token === undefined) return () => true
  const expected = sha256(`Bearer ${token}`)
  return (authorization) => authorization !== undefined && timingSafeEqual(sha256(authorization), expected)
}

/** The refusal of a request: whoever has no token, and whoever has another one, is told which it is. */
export const unauthorized = (authorization: string | undefined): SluiceError =>
  new SluiceError('unauthorized', undefined, {
    detail:
      authorization === undefined
        ? 'no token was sent, and this server asks for one'
        : 'the token that was sent is not that of this server',
  })

const sha256 = (text: string) => createHash('sha256').update(text).digest()
