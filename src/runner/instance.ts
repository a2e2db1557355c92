import type { Dispatcher } from 'undici'
import type { Container, Cookie, RunResult, StopReason } from '../drivers/driver.ts'
import type { Output } from './output.ts'
import type { Birth } from './policy/wait.ts'
import { connect } from './protocols/http-stream.ts'

/** A hot container in the runner's hands: its connection, what it printed, and how many calls it serves. */
export class Instance {
  readonly id: string
  readonly birth: Birth
  readonly output: Output
  readonly dispatcher: Dispatcher
  /** Calls it runs now. */
  running = 0
  /** Calls it has been given so far. */
  served = 0
  /** The call it runs, when it runs one at a time: its output belongs to that call. */
  callId: string | undefined
  idleSince = 0
  readonly #container: Container
  readonly #cookie: Cookie
  #end: Promise<RunResult> | undefined

  constructor(container: Container, cookie: Cookie, output: Output, birth: Birth, concurrency: number) {
    this.id = container.id
    this.birth = birth
    this.output = output
    this.#container = container
    this.#cookie = cookie
    this.dispatcher = connect(container.socket as string, concurrency)
  }

  /** Settles when nothing of the container is left running. */
  get ended(): Promise<RunResult> {
    return this.#container.ended
  }

  /** Takes the container away, once. Its connections are cut. */
  stop(reason: StopReason): Promise<RunResult> {
    this.#end ??= this.#stop(reason)
    return this.#end
  }

  async #stop(reason: StopReason): Promise<RunResult> {
    const result = await this.#container.stop(reason)
    await this.dispatcher.destroy().catch(() => {})
    await this.#cookie[Symbol.asyncDispose]()
    return result
  }
}
