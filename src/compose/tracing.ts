import { hostname } from 'node:os'
import type { Sampler, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace'
import { type Clock, limit } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Random } from '../core/random.ts'
import { traceIds } from '../core/trace-context.ts'
import type { TracingEnvironment } from '../host/config.ts'
import type { Traces } from '../node/traces.ts'

interface Surroundings {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Sluice's own version. */
  readonly version: string
}

type Sdk = typeof import('@opentelemetry/sdk-trace')
type Warn = (error: unknown, message: string) => void

/** Spans that wait to be sent at the most; what comes on top is dropped. */
const MOST_WAITING = 8_192
const BATCH = 512
/** Milliseconds between two batches that are not full. */
const DELAY = 5_000
/** Milliseconds that the last spans get to be sent when a role stops. */
const LAST_CHANCE = 3_000
const WARN_EVERY = 60_000

/**
 * Sends the traces of calls to an OpenTelemetry collector (OTLP over HTTP, protobuf), in batches and beside the calls:
 * what goes wrong is one warning a minute at the most. `undefined` when nothing is to be traced, or when the settings
 * cannot be followed, which is said in the log. Disposing it sends what is left.
 */
export async function openTracing(
  settings: TracingEnvironment | undefined,
  around: Surroundings,
): Promise<(Traces & AsyncDisposable) | undefined> {
  if (settings === undefined || !isUsable(settings, around.log)) return undefined
  const { clock, random, log, version } = around
  // Loaded only here: a node without tracing pays nothing for it.
  const sdk = await import('@opentelemetry/sdk-trace')
  const { resourceFromAttributes } = await import('@opentelemetry/resources')
  const { callTraces, SpanIds } = await import('../node/traces.ts')
  const warn = warnRarely(clock, log)
  const ids = new SpanIds(traceIds(random))
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({
      'service.version': version,
      'service.instance.id': ids.generateTraceId(),
      'host.name': hostname(),
      ...settings.resource,
    }),
    sampler: chooseSampler(sdk, settings, log),
    idGenerator: ids,
    spanProcessors: sender(sdk, await openExporter(settings, log), warn),
  })
  const failed = (error: unknown) => warn(error, 'a call could not be traced')
  const { origin, pathname } = new URL(settings.endpoint) // without a password
  log.info({ endpoint: origin + pathname, sampler: settings.sampler }, 'calls are traced')
  let closing: Promise<void> | undefined
  return {
    ...callTraces({ tracer: provider.getTracer('sluice', version), ids, clock, failed }),
    [Symbol.asyncDispose]: () => {
      closing ??= withinLimit(provider.shutdown(), clock).catch((error: unknown) =>
        log.warn({ error: messageOf(error) }, 'the last traces were not sent'),
      )
      return closing
    },
  }
}

/** These variables may be meant for other programs of the machine, so what cannot be followed stops nothing. */
function isUsable({ endpoint, protocol }: TracingEnvironment, log: Logger): boolean {
  if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? '')) {
    log.warn({}, 'calls are not traced: the endpoint of OpenTelemetry is no http:// or https:// URL')
    return false
  }
  if (protocol !== 'http/protobuf') {
    log.warn({ protocol }, 'calls are not traced: of OTLP only http/protobuf is spoken here')
    return false
  }
  return true
}

async function openExporter({ endpoint, headers, timeout }: TracingEnvironment, log: Logger) {
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto')
  const timeoutMillis = Number(timeout)
  if (timeoutMillis > 0 && Number.isFinite(timeoutMillis))
    return new OTLPTraceExporter({ url: endpoint, headers, timeoutMillis })
  log.warn({ timeout }, 'the timeout of OTLP must be milliseconds above 0; using the default')
  return new OTLPTraceExporter({ url: endpoint, headers })
}

function chooseSampler(sdk: Sdk, { sampler, samplerArg }: TracingEnvironment, log: Logger): Sampler {
  const roots: Record<string, () => Sampler> = {
    always_on: () => new sdk.AlwaysOnSampler(),
    always_off: () => new sdk.AlwaysOffSampler(),
    traceidratio: () => new sdk.TraceIdRatioBasedSampler(ratioOf(samplerArg, log)),
  }
  const [, parentBased, name = ''] = /^(parentbased_)?(.*)$/.exec(sampler) ?? []
  const root = Object.hasOwn(roots, name) ? roots[name] : undefined
  if (!root) {
    log.warn({ sampler }, 'the sampler is not known here; using parentbased_always_on')
    return new sdk.ParentBasedSampler({ root: new sdk.AlwaysOnSampler() })
  }
  return parentBased ? new sdk.ParentBasedSampler({ root: root() }) : root()
}

function ratioOf(text: string, log: Logger): number {
  const ratio = Number(text)
  if (ratio >= 0 && ratio <= 1) return ratio
  log.warn({ ratio: text }, 'the share of traces to keep must be from 0 to 1; using 1')
  return 1
}

/** Collects spans and sends them in batches; what fails or is dropped is told to `warn` and to nobody else. */
function sender(sdk: Sdk, exporter: SpanExporter, warn: Warn): SpanProcessor[] {
  let ended = 0
  let taken = 0
  const counter: SpanProcessor = {
    onStart: () => {},
    onEnd: () => void ended++,
    forceFlush: async () => {},
    shutdown: async () => {},
  }
  const reporting: SpanExporter = {
    export(spans, done) {
      taken += spans.length
      // Nothing waits behind a batch that is not full, and behind a full one no more than was left of a full queue.
      const dropped = ended - taken - (spans.length < BATCH ? 0 : MOST_WAITING - BATCH)
      if (dropped > 0) {
        ended -= dropped
        warn(new Error(`${dropped} spans were dropped`), 'traces come faster than they can be sent')
      }
      exporter.export(spans, ({ code, error }) => {
        if (code !== 0) warn(error, 'traces could not be sent')
        done({ code: 0 })
      })
    },
    shutdown: () => exporter.shutdown(),
  }
  return [
    counter,
    new sdk.BatchSpanProcessor({
      exporter: reporting,
      maxQueueSize: MOST_WAITING,
      maxExportBatchSize: BATCH,
      scheduledDelayMillis: DELAY,
    }),
  ]
}

/** A name with several addresses fails with an error that has a code and no message. */
const reasonOf = (error: unknown): string => messageOf(error) || String((error as { code?: unknown }).code)

/** The first failure of a minute is a warning, the others are there for who debugs. */
function warnRarely(clock: Clock, log: Logger): Warn {
  let next = 0
  return (error, message) => {
    const now = clock.now()
    log[now < next ? 'debug' : 'warn']({ error: reasonOf(error) }, message)
    if (now >= next) next = now + WARN_EVERY
  }
}

async function withinLimit(work: Promise<void>, clock: Clock): Promise<void> {
  using last = limit(clock, LAST_CHANCE)
  const { promise, reject } = Promise.withResolvers<never>()
  last.signal.addEventListener('abort', () => reject(last.signal.reason), { once: true })
  await Promise.race([work, promise])
}
