import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** What the environment sets (fn-v2-api §11). `<NAME>_FILE` names a file that holds the value. */
export interface Environment {
  /** Where the command line finds the server. @default http://127.0.0.1:8080 */
  readonly apiUrl: string
  /** Secret of `/v2`, `/node/*` and `/1/lb/*`; required beyond loopback. */
  readonly token: string | undefined
  /** Base of the endpoint annotations, without a trailing slash. @default the request's own host */
  readonly publicUrl: string | undefined
  /** Largest request body in bytes; 0 = no limit. @default 0 */
  readonly maxRequestSize: number
  /** Largest body of a function's answer in bytes; 0 = no limit. @default 0 */
  readonly maxResponseSize: number
  /** debug, info, warn, error or silent. @default info */
  readonly logLevel: string
  readonly docker: DockerEnvironment
  /** Colour on a terminal is wanted (NO_COLOR, https://no-color.org). */
  readonly color: boolean
}

/** Where the Docker engine is and who its registries let in, in the words of Docker's own client. */
export interface DockerEnvironment {
  /** DOCKER_HOST, like `unix:///run/docker.sock` or `tcp://host:2376`. @default the engine's usual socket */
  readonly host: string | undefined
  /** Folder of ca.pem, cert.pem and key.pem: DOCKER_CERT_PATH, when DOCKER_TLS_VERIFY is set. */
  readonly certs: string | undefined
  /** DOCKER_AUTH: a JSON array of `{ name, username, password }`. */
  readonly auth: string | undefined
  /** Folder of the client's config.json: DOCKER_CONFIG. @default ~/.docker */
  readonly config: string
}

export function readEnvironment(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Environment {
  const text = (name: string): string | undefined => {
    const file = env[`${name}_FILE`]
    const value = env[name] ?? (file ? readFileSync(file, 'utf8').trim() : undefined)
    return value === '' ? undefined : value
  }
  const bytes = (name: string): number => {
    const value = text(name) ?? '0'
    if (!/^\d{1,15}$/.test(value))
      throw new RangeError(`${name} must be a whole number of bytes, got ${value}`)
    return Number(value)
  }
  return {
    apiUrl: (text('FN_API_URL') ?? 'http://127.0.0.1:8080').replace(/\/+$/, ''),
    token: text('FN_TOKEN'),
    publicUrl: text('FN_PUBLIC_LB_URL')?.replace(/\/+$/, ''),
    maxRequestSize: bytes('FN_MAX_REQUEST_SIZE'),
    maxResponseSize: bytes('FN_MAX_RESPONSE_SIZE'),
    logLevel: text('FN_LOG_LEVEL') ?? text('LOG_LEVEL') ?? 'info',
    docker: {
      host: text('DOCKER_HOST'),
      certs: env['DOCKER_TLS_VERIFY'] ? (text('DOCKER_CERT_PATH') ?? join(homedir(), '.docker')) : undefined,
      auth: text('DOCKER_AUTH'),
      config: text('DOCKER_CONFIG') ?? join(homedir(), '.docker'),
    },
    color: !env['NO_COLOR'] && env['TERM'] !== 'dumb',
  }
}
