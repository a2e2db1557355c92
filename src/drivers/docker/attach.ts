import { type Duplex, Readable, Writable } from 'node:stream'
import type { ContainerMode } from '../driver.ts'
import { type AttachedStreams, api } from './api.ts'
import type { Engine } from './engine.ts'
import { type Split, splitFrames } from './frames.ts'

/** The connections to a container's streams. Closing them does nothing to the container. */
export interface Attachment extends Split, Disposable {
  /** Of a cold container. */
  readonly stdin: Writable | undefined
}

/**
 * Connects to a container's streams before it starts, so that nothing is missed. Input has a connection of its own:
 * the end of a container that has not read all of it breaks that connection, together with output on its way through
 * it (podman gives up both ways as soon as one fails, Node destroys both halves of a socket that it cannot write to).
 * @throws DriverError
 */
export async function attach(engine: Engine, id: string, mode: ContainerMode): Promise<Attachment> {
  const output = await connect(engine, id, OUTPUT)
  try {
    // After the other: for the first one podman makes the container ready to run.
    return attached(output, mode === 'cold' ? await connect(engine, id, INPUT) : undefined)
  } catch (error) {
    output.destroy()
    throw error
  }
}

/** Of a container that will never say anything. */
export const detached = (): Attachment => ({
  ...splitFrames(Readable.from([])),
  stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
  [Symbol.dispose]() {},
})

const OUTPUT: AttachedStreams = { stdin: 0, stdout: 1, stderr: 1 }
const INPUT: AttachedStreams = { stdin: 1, stdout: 0, stderr: 0, detachKeys: '' }

const connect = (engine: Engine, id: string, streams: AttachedStreams): Promise<Duplex> =>
  engine.call('attach to the container', (signal) => engine.upgrade(api.attach(id, streams), signal), {
    idempotent: true,
  })

function attached(output: Duplex, input: Duplex | undefined): Attachment {
  const split = splitFrames(output)
  // Which Docker leaves open while there is input that nobody reads any more.
  void split.ended.then(() => input?.destroy())
  return {
    ...split,
    stdin: input && stdinOf(input),
    [Symbol.dispose]: () => output.destroy(),
  }
}

/** The writing half of a connection; what comes back on it is nothing but its end. */
function stdinOf(socket: Duplex): Writable {
  socket.on('error', () => {}).resume()
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
