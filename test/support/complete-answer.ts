const VERSION = 'HTTP/(?:0\\.9|1\\.[01]|2\\.0)'
const STATUS_LINE = new RegExp(`^${VERSION} (\\d{3})(?: [\\t\\x20-\\x7e\\x80-\\xff]*)?$`)
const HEADER_LINE = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/
const CHUNK_HEAD = /^([0-9a-f]+)[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n/i

/**
 * The body of the answer that bytes begin with, when that is a complete answer of status 200 by RFC 9112; `undefined`
 * when it is not. The connection ends where the bytes do. Bytes are given and returned as latin1.
 */
export function completeAnswer(bytes: string): string | undefined {
  let rest = bytes.replace(/^[\r\n]+/, '') // §2.2: of a request, and readers of answers do likewise
  for (;;) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n')
    const status = Number(STATUS_LINE.exec(first)?.[1])
    const headers = lines.map((line) => HEADER_LINE.exec(line))
    rest = rest.slice(end + 4)
    if (headers.includes(null)) return undefined
    const valuesOf = (name: string) =>
      headers.flatMap((header) => (header?.[1]?.toLowerCase() === name ? [header[2]?.trim() ?? ''] : []))
    if (status === 200) return bodyOf(rest, valuesOf('transfer-encoding'), valuesOf('content-length'))
    if (!(status >= 102 && status < 200)) return undefined
  }
}

/** §6.3, without what is ambiguous. */
function bodyOf(bytes: string, codings: string[], lengths: string[]): string | undefined {
  if (codings.length + lengths.length === 0) return bytes
  if (codings.length + lengths.length > 1) return undefined
  if (codings[0] !== undefined) return codings[0].toLowerCase() === 'chunked' ? chunksOf(bytes) : undefined
  const length = /^\d+$/.test(lengths[0] as string) ? Number(lengths[0]) : Infinity
  return length <= bytes.length ? bytes.slice(0, length) : undefined
}

function chunksOf(bytes: string): string | undefined {
  let body = ''
  for (let rest = bytes; ; ) {
    const [head, digits = ''] = CHUNK_HEAD.exec(rest) ?? []
    if (head === undefined) return undefined
    const size = Number.parseInt(digits, 16)
    rest = rest.slice(head.length)
    if (size === 0) return endsTrailers(rest) ? body : undefined
    if (rest.slice(size, size + 2) !== '\r\n') return undefined
    body += rest.slice(0, size)
    rest = rest.slice(size + 2)
  }
}

function endsTrailers(bytes: string): boolean {
  if (bytes.startsWith('\r\n')) return true
  const end = bytes.indexOf('\r\n\r\n')
  return (
    end >= 0 &&
    bytes
      .slice(0, end)
      .split('\r\n')
      .every((line) => HEADER_LINE.test(line))
  )
}
