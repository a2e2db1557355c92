import { messageOf, SluiceError } from '../core/errors.ts'
import { readEnvironment } from '../host/config.ts'
import type { Client } from './client.ts'
import type { Io } from './io.ts'

/** Lends a client of the server that the environment names. The HTTP library is loaded here, not before. */
export async function withClient<T>(io: Io, use: (client: Client) => Promise<T>): Promise<T> {
  const { apiUrl, token } = environmentOf(io)
  const { Client } = await import('./client.ts')
  await using client = new Client({ url: apiUrl, token, clock: io.clock, signal: io.signal })
  return await use(client)
}

function environmentOf(io: Io) {
  try {
    return readEnvironment(io.env)
  } catch (error) {
    throw new SluiceError('invalid', 'Invalid environment', { cause: error, detail: messageOf(error) })
  }
}
