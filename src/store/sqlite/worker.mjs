// The thread of one database: each question is answered before the next one is taken. JavaScript, since taking the
// types out would cost each thread 60 ms and 18 MB; it is checked by the types of questions.ts all the same.
import { chmodSync, closeSync, openSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

/** @import { FromThread, Outcome, Question, ToThread, Workplace } from './questions.ts' */
/** @typedef {{ reader: DatabaseSync, writer: DatabaseSync, file: import('node:fs').Stats }} Connections */

const { file, patience } = /** @type {Workplace} */ (workerData)

/** Bytes of log that are kept on disk when it is empty. */
const LOG_SIZE = 67_108_864

/** @type {Connections | undefined} */
let connections

parentPort?.on('message', (/** @type {ToThread} */ { id, question }) => {
  const reply = answer(id, question)
  parentPort?.postMessage(reply, 'outcome' in reply ? blobsOf(reply.outcome) : [])
})

/** @type {(id: number, question: Question) => FromThread} */
function answer(id, question) {
  try {
    return { id, outcome: perform(question) }
  } catch (error) {
    const { message, errcode, code } = /** @type {Error & { errcode?: number, code?: string }} */ (error)
    return { id, fault: { message, errcode, code } }
  }
}

/** @type {(question: Question) => Outcome} */
function perform(question) {
  if (question.kind === 'run') return run(question)
  if (question.kind === 'script') opened().writer.exec(question.sql)
  else if (question.kind === 'close') close()
  else {
    protect()
    connect()
  }
  return NOTHING
}

/** @type {Outcome} */
const NOTHING = { rows: [], changes: 0, lastInsertRowid: 0 }

/** @type {(question: Extract<Question, { kind: 'run' }>) => Outcome} */
function run({ role, sql, parameters }) {
  const { reader, writer } = opened()
  // SQLite has rolled back by itself after some errors.
  if (sql === 'rollback' && !writer.isTransaction) return NOTHING
  const statement = (role === 'reader' ? reader : writer).prepare(sql)
  if (statement.columns().length > 0) return { ...NOTHING, rows: statement.all(...parameters) }
  return { ...NOTHING, ...statement.run(...parameters) }
}

/**
 * A file that was moved away and is back, or another in its place, is opened anew: SQLite would go on with the old
 * one. It is never made anew, which would be an empty store.
 * @type {() => Connections}
 */
function opened() {
  if (connections?.writer.isTransaction) return connections
  const now = statSync(file)
  if (connections && connections.file.ino === now.ino && connections.file.dev === now.dev) return connections
  const format = connections && formatOf(connections.reader)
  close()
  const found = connect()
  if (format === undefined || formatOf(found.reader) === format) return found
  close()
  throw new Error(`${file} has another format than before: start again`)
}

/** @type {() => Connections} */
function connect() {
  const writer = new DatabaseSync(file, { timeout: patience })
  /** @type {DatabaseSync | undefined} */
  let reader
  try {
    // The log that SQLite syncs before a commit returns (full) outlives the process at any point,
    // and the machine's loss of power too; `normal` would only promise the first. Writes here are rare.
    writer.exec(
      `pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = ${LOG_SIZE}`,
    )
    reader = new DatabaseSync(file, { readOnly: true })
    // From here on who waits for a lock lets others go first: who has asked asks again (thread.ts).
    writer.exec('pragma busy_timeout = 0')
    reader.exec('pragma busy_timeout = 0')
    connections = { reader, writer, file: statSync(file) }
    return connections
  } catch (error) {
    reader?.close()
    writer.close()
    throw error
  }
}

function close() {
  connections?.reader.close()
  connections?.writer.close()
  connections = undefined
}

/** @type {(db: DatabaseSync) => unknown} */
const formatOf = (db) => db.prepare('pragma user_version').get()?.['user_version']

/**
 * Only the owner may read it; SQLite gives the files beside it the same mode. A file that exists is never opened
 * here: closing it would drop the locks that other handles of this process hold.
 */
function protect() {
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
    if ((statSync(file).mode & 0o777) !== 0o600) chmodSync(file, 0o600)
  }
}

/**
 * What is given away instead of copied.
 * @type {(outcome: Outcome) => ArrayBuffer[]}
 */
function blobsOf({ rows }) {
  const values = rows.flatMap((row) => Object.values(row))
  return values.flatMap((value) =>
    value instanceof Uint8Array && value.byteLength === value.buffer.byteLength
      ? [/** @type {ArrayBuffer} */ (value.buffer)]
      : [],
  )
}
