import type { IncomingHttpHeaders } from 'node:http'

/** Bytes of a request's body, 0 = it has none, `undefined` = it ends when it ends (RFC 9112 §6.3). */
export const bodyLength = (headers: IncomingHttpHeaders): number | undefined =>
  headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : undefined

/** Whether an answer of this status has a body (RFC 9110 §6.4.1). To HEAD none has. */
export const mayHaveBody = (status: number): boolean => status >= 200 && status !== 204 && status !== 304

/** Whether a header says how a message is framed, which each hop says for itself; no trailer may. @param name in lower case */
export const isFraming = (name: string): boolean => name === 'content-length' || name === 'transfer-encoding'
