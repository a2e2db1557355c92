import type { Logger } from './logger.ts'
import type { App, Fn } from './words.ts'

/** A line that a function printed, without its end. */
export interface LogLine {
  /** When it came (ms since the epoch). */
  readonly at: number
  readonly app: Pick<App, 'id' | 'name'>
  readonly fn: Pick<Fn, 'id' | 'name' | 'image'>
  /** Id of the container that printed it. */
  readonly container: string
  /** Whose line it is: absent between calls, and where calls share a container. */
  readonly callId: string | undefined
  /** Its container serves several calls at once, and no line tells which it belongs to. */
  readonly shared: boolean
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
}

/** Where the output of functions goes. What cannot be kept is dropped: a sink neither waits nor throws. */
export interface LogSink {
  write(line: LogLine): void
}

/** Into the log of the node, among its own lines. */
export const lineLog = (log: Logger): LogSink => ({
  write({ app, fn, container, callId, shared, stream, text }) {
    log.info(
      {
        container_id: container,
        fn_id: fn.id,
        app_id: app.id,
        app_name: app.name,
        fn_name: fn.name,
        image: fn.image,
        call_id: callId,
        ...(shared && { shared }),
        user_log: true,
        stream,
      },
      text,
    )
  },
})
