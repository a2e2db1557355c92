import { connectionNamesIn, isHopByHop } from '../../http1/hop-by-hop.ts'
import { headerValues } from '../../http1/raw-headers.ts'
import type { ResponseHead } from '../../http1/response-parser.ts'

/** Names and values of an answer's headers, as a function of today would have sent them. */
export function answerHeaders({ status, headers, length }: ResponseHead): string[] {
  const named = connectionNamesIn(headers)
  const out = status === 200 ? [] : ['Fn-Http-Status', String(status)]
  let typed = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    const lower = name.toLowerCase()
    if (lower === 'content-type') {
      if (!typed) out.push(name, value)
      typed = true
    } else if (lower !== 'content-length' && !isHopByHop(lower, value, named)) {
      out.push(`Fn-Http-H-${name}`, value)
    }
  }
  if (length !== undefined) out.push('Content-Length', String(length))
  return out
}

/** Whether the function says that it takes no other request. */
export const closes = ({ headers }: ResponseHead): boolean =>
  headerValues(headers, 'connection')
    .join(',')
    .split(',')
    .some((option) => option.trim().toLowerCase() === 'close')
