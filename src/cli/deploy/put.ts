import type { App, Fn, Trigger } from '../../core/words.ts'
import type { Client } from '../client.ts'
import type { FuncFile, FuncTrigger } from '../func-file.ts'
import { changesOf, type FieldChange, newFn } from './changes.ts'
import { TRIGGER_MARK } from './record.ts'

/** What a deploy did to one thing. */
export type Change = 'created' | 'updated' | 'unchanged' | 'removed'

export interface PutFunction {
  readonly fn: Fn
  readonly change: Change
  readonly fields: readonly FieldChange[]
}

export interface PutTrigger {
  readonly trigger: Trigger
  readonly change: Change
}

/** Makes the function as its file says. */
export async function putFunction(
  client: Client,
  app: App,
  func: FuncFile,
  image: string,
  known?: Fn,
): Promise<PutFunction> {
  const existing = known ?? (await client.findFn(app, func.name))
  if (existing === undefined) {
    const { body, fields } = newFn(func, image)
    const fn = await client.create('fns', { app_id: app.id, name: func.name, ...body })
    return { fn, change: 'created', fields }
  }
  const { body, fields } = changesOf(existing, func, image)
  if (Object.keys(body).length === 0) return { fn: existing, change: 'unchanged', fields }
  const fn = await client.update('fns', existing.id, body)
  // Fn's own server leaves the endpoint out of this answer.
  const annotations = { ...existing.annotations, ...fn.annotations }
  return { fn: { ...fn, annotations }, change: fields.length > 0 ? 'updated' : 'unchanged', fields }
}

/**
 * Makes the function's triggers as its file says. One that the file named before and names no more is removed;
 * first those whose path another one takes over.
 */
export async function putTriggers(client: Client, fn: Fn, func: FuncFile): Promise<PutTrigger[]> {
  const existing = await client.list('triggers', { app_id: fn.app_id, fn_id: fn.id })
  const wanted = new Map(func.triggers.map((trigger) => [trigger.name, trigger]))
  const sources = new Set(func.triggers.map(({ source }) => source))
  const left = existing.filter(
    ({ name, annotations }) => !wanted.has(name) && annotations?.[TRIGGER_MARK] === true,
  )
  const removed: PutTrigger[] = []
  const remove = async (trigger: Trigger) => {
    await client.remove('triggers', trigger.id)
    removed.push({ trigger, change: 'removed' })
  }

  for (const trigger of left) if (sources.has(trigger.source)) await remove(trigger)
  const put: PutTrigger[] = []
  for (const trigger of wanted.values())
    put.push(
      await putTrigger(
        client,
        fn,
        existing.find(({ name }) => name === trigger.name),
        trigger,
      ),
    )
  for (const trigger of left) if (!sources.has(trigger.source)) await remove(trigger)
  return [...put, ...removed]
}

async function putTrigger(
  client: Client,
  fn: Fn,
  existing: Trigger | undefined,
  wanted: FuncTrigger,
): Promise<PutTrigger> {
  const mark = { [TRIGGER_MARK]: true }
  if (existing === undefined) {
    const body = { app_id: fn.app_id, fn_id: fn.id, ...wanted, annotations: mark }
    return { trigger: await client.create('triggers', body), change: 'created' }
  }
  const moved = existing.source !== wanted.source
  const changes = {
    ...(moved && { source: wanted.source }),
    ...(existing.annotations?.[TRIGGER_MARK] !== true && { annotations: mark }),
  }
  if (Object.keys(changes).length === 0) return { trigger: existing, change: 'unchanged' }
  const trigger = await client.update('triggers', existing.id, changes)
  return { trigger, change: moved ? 'updated' : 'unchanged' }
}
