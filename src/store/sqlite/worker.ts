import { parentPort, workerData } from 'node:worker_threads'
import { sleep, systemClock } from '../../core/clock.ts'
import { Connections } from './connections.ts'
import type { Fault, FromThread, Outcome, Question, ToThread, Workplace } from './questions.ts'

/*
 * The thread of one database. SQLite waits for the disk and for locks by blocking the thread that asks; here that
 * holds up nobody but who asks the same database, and for locks not even those: who finds one taken sleeps and tries
 * again, and others are answered meanwhile.
 */

const { file, patience } = workerData as Workplace
const connections = new Connections(file, patience)
const forgotten = new Set<number>()
const asked = new Set<number>()

parentPort?.on('message', async (message: ToThread) => {
  const { id } = message
  if ('forget' in message) {
    if (asked.has(id)) forgotten.add(id)
    return
  }
  asked.add(id)
  const reply = await answer(id, message.question).then(
    (outcome): FromThread => ({ id, outcome }),
    (error: unknown): FromThread => ({ id, fault: toFault(error) }),
  )
  asked.delete(id)
  forgotten.delete(id)
  parentPort?.postMessage(reply, 'outcome' in reply ? blobsOf(reply.outcome) : [])
})

/** Asks again while another process holds the lock, for as long as there is patience and somebody waits. */
async function answer(id: number, question: Question): Promise<Outcome> {
  const end = systemClock.now() + patience
  for (let pause = 1; ; pause = Math.min(2 * pause, 20)) {
    try {
      return perform(question)
    } catch (error) {
      if (!isBusy(error) || systemClock.now() >= end) throw error
      await sleep(systemClock, pause)
      if (forgotten.has(id)) throw error
    }
  }
}

function perform(question: Question): Outcome {
  if (question.kind === 'run') return connections.run(question.role, question.sql, question.parameters)
  if (question.kind === 'open') connections.open()
  else connections.close()
  return { rows: [], changes: 0, lastInsertRowid: 0 }
}

/** What is given away instead of copied. */
const blobsOf = ({ rows }: Outcome): ArrayBuffer[] =>
  rows.flatMap((row) =>
    Object.values(row).flatMap((value) =>
      value instanceof Uint8Array && value.byteLength === value.buffer.byteLength
        ? [value.buffer as ArrayBuffer]
        : [],
    ),
  )

/** SQLite's result codes for a file that cannot be used now: busy, locked, read-only, I/O, corrupt, full, cannot open, no database. */
const UNAVAILABLE: ReadonlySet<number> = new Set([5, 6, 8, 10, 11, 13, 14, 26])

const isBusy = (error: unknown): boolean => primary((error as { errcode?: number }).errcode) === 5

const primary = (errcode = 0): number => errcode & 0xff

function toFault(error: unknown): Fault {
  const { message, errcode, code } = error as { message: string; errcode?: number; code?: string }
  const isFiles = errcode === undefined ? code !== undefined : UNAVAILABLE.has(primary(errcode))
  return { message, errcode, unavailable: isFiles }
}
