import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** A span as a collector received it. Times are nanoseconds since the epoch. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  /** Empty for the first of a trace. */
  readonly parentSpanId: string
  readonly state: string
  readonly name: string
  readonly kind: 'unspecified' | 'internal' | 'server' | 'client'
  readonly start: bigint
  readonly end: bigint
  readonly attributes: Attributes
  readonly status: { readonly code: 'unset' | 'ok' | 'error'; readonly message: string }
  readonly resource: Attributes
}

export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface Collector extends AsyncDisposable {
  /** Base of the endpoint, without a path. */
  readonly url: string
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[]
  readonly spans: ReceivedSpan[]
}

/** An OTLP/HTTP collector that reads the protobuf it is sent, by the numbers of opentelemetry-proto 1.x. */
export async function startCollector(
  options: { readonly status?: number; readonly hang?: boolean } = {},
): Promise<Collector> {
  const requests: Collector['requests'] = []
  const spans: ReceivedSpan[] = []
  const server = createServer(async (req: IncomingMessage, res) => {
    const body = await buffer(req)
    requests.push({ path: req.url ?? '', headers: req.headers })
    if (options.hang) return
    if (options.status === undefined) spans.push(...readRequest(body))
    res.writeHead(options.status ?? 200, { 'Content-Type': 'application/x-protobuf' }).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    spans,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const KINDS = ['unspecified', 'internal', 'server', 'client'] as const
const CODES = ['unset', 'ok', 'error'] as const

function readRequest(body: Buffer): ReceivedSpan[] {
  return messages(body, 1).flatMap((resourceSpans) => {
    const resource = readAttributes(messages(resourceSpans, 1).flatMap((message) => messages(message, 1)))
    return messages(resourceSpans, 2)
      .flatMap((scopeSpans) => messages(scopeSpans, 2))
      .map((span) => readSpan(span, resource))
  })
}

function readSpan(span: Buffer, resource: Attributes): ReceivedSpan {
  const hex = (field: number) => messages(span, field)[0]?.toString('hex') ?? ''
  const text = (message: Buffer, field: number) => messages(message, field)[0]?.toString('utf8') ?? ''
  const number = (message: Buffer, field: number) => numbers(message, field)[0] ?? 0n
  const status = messages(span, 15)[0] ?? Buffer.alloc(0)
  return {
    traceId: hex(1),
    spanId: hex(2),
    state: text(span, 3),
    parentSpanId: hex(4),
    name: text(span, 5),
    kind: KINDS[Number(number(span, 6))] ?? 'unspecified',
    start: number(span, 7),
    end: number(span, 8),
    attributes: readAttributes(messages(span, 9)),
    status: { message: text(status, 2), code: CODES[Number(number(status, 3))] ?? 'unset' },
    resource,
  }
}

function readAttributes(pairs: readonly Buffer[]): Attributes {
  return Object.fromEntries(
    pairs.map((pair) => {
      const key = messages(pair, 1)[0]?.toString('utf8') ?? ''
      const value = readFields(messages(pair, 2)[0] ?? Buffer.alloc(0))[0]
      if (value === undefined) throw new Error(`the attribute ${key} has no value`)
      return [key, readValue(value)]
    }),
  )
}

function readValue({ field, value }: Field): string | number | boolean {
  if (typeof value !== 'bigint') return value.toString('utf8')
  if (field === 2) return value !== 0n
  return field === 4 ? (new Float64Array(BigUint64Array.of(value).buffer)[0] ?? 0) : Number(value)
}

interface Field {
  readonly field: number
  readonly value: bigint | Buffer
}

const messages = (message: Buffer, field: number): Buffer[] =>
  readFields(message).flatMap((one) =>
    one.field === field && typeof one.value !== 'bigint' ? [one.value] : [],
  )

const numbers = (message: Buffer, field: number): bigint[] =>
  readFields(message).flatMap((one) =>
    one.field === field && typeof one.value === 'bigint' ? [one.value] : [],
  )

/** The fields of a protobuf message: numbers as they are on the wire, everything else as bytes. */
function readFields(message: Buffer): Field[] {
  const fields: Field[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++)
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const bytes = (length: number): Buffer => {
    if (at + length > message.length) throw new RangeError('a field is longer than its message')
    at += length
    return message.subarray(at - length, at)
  }
  while (at < message.length) {
    const key = Number(varint())
    const field = key >> 3
    const type = key & 7
    if (type === 0) fields.push({ field, value: varint() })
    else if (type === 1) fields.push({ field, value: bytes(8).readBigUInt64LE() })
    else if (type === 2) fields.push({ field, value: bytes(Number(varint())) })
    else if (type === 5) fields.push({ field, value: BigInt(bytes(4).readUInt32LE()) })
    else throw new RangeError(`wire type ${type}`)
  }
  return fields
}
