import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

interface Context {
  readonly callId: string
  readonly signal: AbortSignal
  readonly config: Readonly<Record<string, string>>
}

interface Done {
  readonly callId: string
  /** Names this start of the program: a new one means that the call met a cold container. */
  readonly bootId: string
  /** Calls served since that start, this one included. */
  readonly calls: number
  readonly ms: number
}

const bootId = randomUUID()
let calls = 0

/** Takes the time that the body (`{ "ms": 100 }`) or the config `WORK_MS` says, and does nothing else with it. */
export default async function work(request: Request, ctx: Context): Promise<Done | Response> {
  const text = await request.text()
  const { ms = Number(ctx.config['WORK_MS'] ?? 100) }: { ms?: number } = text ? JSON.parse(text) : {}
  if (!(Number.isFinite(ms) && ms >= 0 && ms <= 300_000))
    return Response.json({ message: 'ms must be a number from 0 to 300000' }, { status: 400 })
  calls++
  await sleep(ms, undefined, { signal: ctx.signal })
  return { callId: ctx.callId, bootId, calls, ms }
}
