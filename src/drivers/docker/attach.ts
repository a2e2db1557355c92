import { type Duplex, Readable, Writable } from 'node:stream'
import type { ContainerMode } from '../driver.ts'
import type { Engine } from './engine.ts'
import { type Split, splitFrames } from './frames.ts'
import { hijack } from './hijack.ts'

/** The connection to a container's streams. Closing it does nothing to the container. */
export interface Attachment extends Split, Disposable {
  /** Of a cold container. */
  readonly stdin: Writable | undefined
}

/** Connects to a container's streams before it starts, so that nothing is missed. @throws DriverError */
export function attach(engine: Engine, id: string, mode: ContainerMode): Promise<Attachment> {
  return engine.call(
    'attach to the container',
    async (abortSignal) => {
      if (mode === 'hot') {
        const options = { abortSignal, stream: true, stdout: true, stderr: true }
        return attached((await engine.docker.getContainer(id).attach(options)) as unknown as Readable)
      }
      const path = `/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`
      const stream = await hijack(engine.address, path, abortSignal)
      return attached(stream, stdinOf(stream))
    },
    { idempotent: true },
  )
}

/** Of a container that will never say anything. */
export const detached = (): Attachment =>
  attached(Readable.from([]), new Writable({ write: (_chunk, _encoding, done) => done() }))

function attached(stream: Readable, stdin?: Writable): Attachment {
  return { ...splitFrames(stream), stdin, [Symbol.dispose]: () => stream.destroy() }
}

/** The writing half of a connection: ending or destroying it leaves the other half alone. */
function stdinOf(socket: Duplex): Writable {
  const stdin = new Writable({
    write: (chunk, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      if (!socket.writableEnded) socket.end()
      done(error)
    },
  })
  stdin.on('error', () => {}) // the container ended without reading all of its input
  return stdin
}
