import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Another process that holds the lock for writing to a SQLite file, until it is told to let go or disposed. */
export async function lockFile(file: string): Promise<AsyncDisposable & { release(): Promise<void> }> {
  const code = `
    const { DatabaseSync } = require('node:sqlite')
    const db = new DatabaseSync(${JSON.stringify(file)}, { timeout: 10000 })
    db.exec('begin immediate')
    console.log('locked')
    process.stdin.once('data', () => { db.exec('rollback'); db.close(); process.exit() })`
  const child = spawn(process.execPath, ['--eval', code], { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  await once(child.stdout, 'data')
  return {
    async release() {
      child.stdin.write('go')
      await closed
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await closed
    },
  }
}
