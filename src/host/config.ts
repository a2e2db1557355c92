import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { nameOf } from './known-hosts.ts'

/** What the environment sets (api-v2 §11). `<NAME>_FILE` names a file that holds the value. */
export interface Environment {
  /** Where the command line finds the server. @default http://127.0.0.1:8080 */
  readonly apiUrl: string
  /** Secret of `/v2`, `/node/*` and `/1/lb/*`; required beyond loopback. */
  readonly token: string | undefined
  /** Base of the endpoint annotations, without a trailing slash. @default the request's own host */
  readonly publicUrl: string | undefined
  /** Hosts that a server without a token goes by besides the loopback ones: FN_ALLOWED_HOSTS, and that of `publicUrl`. */
  readonly allowedHosts: readonly string[]
  /** Largest request body in bytes; 0 = no limit. @default 0 */
  readonly maxRequestSize: number
  /** Milliseconds in which the beginning of a body must be here, and that it may stand still later. @default 30000 */
  readonly bodyTimeout: number | undefined
  /** Largest body of a function's answer in bytes; 0 = no limit. @default 0 */
  readonly maxResponseSize: number
  /** Largest head of a function's answer in bytes; 0 = no limit of ours. @default 0 */
  readonly maxResponseHeadSize: number
  /** Bytes that the containers of a machine may be promised together. @default what the machine leaves */
  readonly memory: number | undefined
  /** CPUs, with decimals, that they may be promised together. @default what the machine leaves */
  readonly cpus: number | undefined
  /** Milliseconds after which an idle container is paused; below 0 = never. @default the node decides */
  readonly freezeIdle: number | undefined
  /** Which web pages may use `/v2`. */
  readonly cors: CorsEnvironment
  /** debug, info, warn, error or silent. @default info */
  readonly logLevel: string
  readonly docker: DockerEnvironment
  readonly network: NetworkEnvironment
  /** Where traces of calls go, in OpenTelemetry's words. @default nothing is traced */
  readonly tracing: TracingEnvironment | undefined
  /** Colour on a terminal is wanted (NO_COLOR, https://no-color.org). */
  readonly color: boolean
}

/** FN_API_CORS_ORIGINS and FN_API_CORS_HEADERS. In both `*` stands for all. */
export interface CorsEnvironment {
  /** Like `https://app.example.com`. @default none */
  readonly origins: readonly string[]
  /** Request headers that those pages may set; empty = the API's own choice. */
  readonly headers: readonly string[]
}

/** Where functions with a network may go (sandbox driver), in IPv4 addresses and ranges like `10.1.0.0/16`. */
export interface NetworkEnvironment {
  /** FN_NETWORK_ALLOW: of private addresses, which are closed otherwise. @default none */
  readonly allow: readonly string[]
  /** FN_NETWORK_DENY: of public addresses, like those of other nodes. @default none */
  readonly deny: readonly string[]
}

/** Where the Docker engine is and who its registries let in, in the words of Docker's own client. */
export interface DockerEnvironment {
  /** DOCKER_HOST, like `unix:///run/docker.sock` or `tcp://host:2376`. @default the engine's usual socket */
  readonly host: string | undefined
  /** Folder of ca.pem, cert.pem and key.pem: DOCKER_CERT_PATH, when DOCKER_TLS_VERIFY is set. */
  readonly certs: string | undefined
  /** DOCKER_AUTH: a JSON array of `{ name, username, password }`. */
  readonly auth: string | undefined
  /** Folder of the client's config.json: DOCKER_CONFIG. @default ~/.docker */
  readonly config: string
}

/**
 * What OpenTelemetry's variables say about traces. Values that may be meant for other programs of the machine are
 * kept as they are: who uses them says what it does not understand.
 */
export interface TracingEnvironment {
  /** OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or OTEL_EXPORTER_OTLP_ENDPOINT with `/v1/traces`. */
  readonly endpoint: string
  /** OTEL_EXPORTER_OTLP_TRACES_PROTOCOL or OTEL_EXPORTER_OTLP_PROTOCOL. @default http/protobuf */
  readonly protocol: string
  /** OTEL_EXPORTER_OTLP_HEADERS and OTEL_EXPORTER_OTLP_TRACES_HEADERS. May hold secrets. */
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds that sending one batch may take: OTEL_EXPORTER_OTLP_(TRACES_)TIMEOUT. @default 10000 */
  readonly timeout: string
  /** OTEL_TRACES_SAMPLER. @default parentbased_always_on */
  readonly sampler: string
  /** OTEL_TRACES_SAMPLER_ARG: the share of traces to keep, 0 to 1. @default 1 */
  readonly samplerArg: string
  /** OTEL_RESOURCE_ATTRIBUTES, with OTEL_SERVICE_NAME as `service.name`. @default { 'service.name': 'sluice-node' } */
  readonly resource: Readonly<Record<string, string>>
}

export function readEnvironment(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Environment {
  const text = (name: string): string | undefined => {
    const file = env[`${name}_FILE`]
    const value = env[name] ?? (file ? readFileSync(file, 'utf8').trim() : undefined)
    return value === '' ? undefined : value
  }
  const whole = (name: string, unit: string): number | undefined => {
    const value = text(name)
    if (value !== undefined && !/^\d{1,15}$/.test(value))
      throw new RangeError(`${name} must be a whole number of ${unit}, got ${value}`)
    return value === undefined ? undefined : Number(value)
  }
  const bytes = (name: string): number => whole(name, 'bytes') ?? 0
  const mcpus = whole('FN_MAX_TOTAL_CPU_MCPUS', 'thousandths of a CPU')
  return {
    apiUrl: (text('FN_API_URL') ?? 'http://127.0.0.1:8080').replace(/\/+$/, ''),
    token: text('FN_TOKEN'),
    publicUrl: text('FN_PUBLIC_LB_URL')?.replace(/\/+$/, ''),
    allowedHosts: readHosts(text('FN_ALLOWED_HOSTS'), text('FN_PUBLIC_LB_URL')),
    maxRequestSize: bytes('FN_MAX_REQUEST_SIZE'),
    bodyTimeout: whole('FN_BODY_TIMEOUT_MSECS', 'milliseconds') || undefined,
    maxResponseSize: bytes('FN_MAX_RESPONSE_SIZE'),
    maxResponseHeadSize: bytes('FN_MAX_HDR_RESPONSE_SIZE'),
    memory: bytes('FN_MAX_TOTAL_MEMORY_BYTES') || undefined, // today's Fn says 0 for none of its own
    cpus: mcpus ? mcpus / 1_000 : undefined,
    freezeIdle: readFreezeIdle(text('FN_FREEZE_IDLE_MSECS')),
    cors: {
      origins: readOrigins(text('FN_API_CORS_ORIGINS')),
      headers: readHeaderNames(text('FN_API_CORS_HEADERS')),
    },
    logLevel: text('FN_LOG_LEVEL') ?? text('LOG_LEVEL') ?? 'info',
    docker: {
      host: text('DOCKER_HOST'),
      certs: env['DOCKER_TLS_VERIFY'] ? (text('DOCKER_CERT_PATH') ?? join(homedir(), '.docker')) : undefined,
      auth: text('DOCKER_AUTH'),
      config: text('DOCKER_CONFIG') ?? join(homedir(), '.docker'),
    },
    network: { allow: listOf(text('FN_NETWORK_ALLOW')), deny: listOf(text('FN_NETWORK_DENY')) },
    tracing: readTracing(text),
    color: !env['NO_COLOR'] && env['TERM'] !== 'dumb',
  }
}

function readFreezeIdle(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^-?\d{1,9}$/.test(value)) return Number(value)
  throw new RangeError(
    `FN_FREEZE_IDLE_MSECS must be a whole number of milliseconds, below 0 for never, got ${value}`,
  )
}

/** Browsers compare origins letter by letter, so only what they would send is taken. */
function readOrigins(value: string | undefined): string[] {
  const origins = listOf(value)
  const wrong = origins.find((origin) => origin !== '*' && originOf(origin) !== origin)
  if (wrong === undefined) return origins
  const example = originOf(wrong) ?? 'https://app.example.com'
  throw new RangeError(`FN_API_CORS_ORIGINS must list origins like ${example}, or be *, got ${wrong}`)
}

function originOf(text: string): string | undefined {
  const url = URL.parse(text)
  return url && url.host !== '' ? `${url.protocol}//${url.host}` : undefined
}

function readHosts(value: string | undefined, publicUrl: string | undefined): string[] {
  const own = publicUrl === undefined ? undefined : URL.parse(publicUrl)?.host
  return [...listOf(value), ...(own ? [own] : [])].map((host) => {
    const name = nameOf(host)
    if (name !== undefined) return name
    throw new RangeError(`FN_ALLOWED_HOSTS must list hosts like faas.example.com, got ${host}`)
  })
}

function readHeaderNames(value: string | undefined): string[] {
  const names = listOf(value)
  const wrong = names.find((name) => !/^[!#$%&'*+.^_`|~\w-]+$/.test(name))
  if (wrong === undefined) return names
  throw new RangeError(`FN_API_CORS_HEADERS must list names of headers, or be *, got ${wrong}`)
}

const listOf = (value = ''): string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

function readTracing(text: (name: string) => string | undefined): TracingEnvironment | undefined {
  const of = (name: string): string | undefined =>
    text(`OTEL_EXPORTER_OTLP_TRACES_${name}`) ?? text(`OTEL_EXPORTER_OTLP_${name}`)
  const base = text('OTEL_EXPORTER_OTLP_ENDPOINT')
  const endpoint =
    text('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ??
    (base === undefined ? undefined : `${base.replace(/\/+$/, '')}/v1/traces`)
  const exporters = (text('OTEL_TRACES_EXPORTER') ?? 'otlp').split(',').map((name) => name.trim())
  const disabled = text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true'
  if (endpoint === undefined || disabled || !exporters.includes('otlp')) return undefined
  const name = text('OTEL_SERVICE_NAME')
  return {
    endpoint,
    protocol: of('PROTOCOL') ?? 'http/protobuf',
    headers: {
      ...readPairs(text('OTEL_EXPORTER_OTLP_HEADERS')),
      ...readPairs(text('OTEL_EXPORTER_OTLP_TRACES_HEADERS')),
    },
    timeout: of('TIMEOUT') ?? '10000',
    sampler: text('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on',
    samplerArg: text('OTEL_TRACES_SAMPLER_ARG') ?? '1',
    resource: {
      'service.name': 'sluice-node',
      ...readPairs(text('OTEL_RESOURCE_ATTRIBUTES')),
      ...(name !== undefined && { 'service.name': name }),
    },
  }
}

/** `key=value,…` with values percent-encoded; what is no such pair is left out. */
function readPairs(text: string | undefined): Record<string, string> {
  const pairs = (text ?? '').split(',').flatMap((member): [string, string][] => {
    const [, key, value] = /^\s*([^\s=]+)\s*=\s*(.*?)\s*$/.exec(member) ?? []
    if (key === undefined || value === undefined) return []
    try {
      return [[key, decodeURIComponent(value)]]
    } catch {
      return [[key, value]] // a stray percent sign
    }
  })
  return Object.fromEntries(pairs)
}
