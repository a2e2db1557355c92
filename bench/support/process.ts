import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A helper program of the benchmarks in a process of its own; it sends one message when it is ready. */
export interface Helper<T> extends AsyncDisposable {
  readonly ready: T
  readonly child: ChildProcess
}

/** @param file beside this one */
export async function startHelper<T>(file: string, ...args: readonly string[]): Promise<Helper<T>> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  const [ready] = (await Promise.race([
    once(child, 'message'),
    exited.then(([code]) => {
      throw new Error(`${file} ended with ${code} before it was ready`)
    }),
  ])) as [T]
  return {
    ready,
    child,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await exited
    },
  }
}
