import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DriverError } from '../driver.ts'
import { canonicalRegistry } from './reference.ts'

/** What a registry is told. Its secrets do not show when it is printed or made JSON. */
export interface Auth {
  readonly serveraddress: string
  readonly username?: string
  readonly password?: string
  readonly identitytoken?: string
  readonly registrytoken?: string
}

export interface Credentials {
  /**
   * For exactly this registry, `host[:port]`; '' = Docker Hub; `undefined` = anonymous.
   * @throws DriverError `unavailable` when a credential helper fails
   */
  for(registry: string): Promise<Auth | undefined>
}

/** How a credential helper ended; the code is that of the system when it could not be run. */
export interface HelperResult {
  readonly code: number | string
  readonly stdout: string
}

export interface CredentialsOptions {
  /** The text of DOCKER_AUTH: `[{ name, username, password }]`, or what a config.json or its `auths` holds. */
  readonly dockerAuth?: string | undefined
  /** Folder of Docker's config.json, which is read once, and only without `dockerAuth`. */
  readonly configDir?: string | undefined
  /** Runs a program with an input, ten seconds at the most. */
  readonly run?: (program: string, args: readonly string[], input: string) => Promise<HelperResult>
}

type Secrets = Omit<Auth, 'serveraddress'>

interface Known {
  readonly auths: ReadonlyMap<string, Secrets>
  /** Names of helper programs: of one registry, and of all others. */
  readonly helpers: ReadonlyMap<string, string>
  readonly store: string | undefined
}

/** Docker's own client and its helpers call Docker Hub so. */
const HUB_SERVER = 'https://index.docker.io/v1/'
const HELPER_LIMIT = 10_000

/** @throws DriverError `unavailable` that names what is malformed or unreadable, but nothing of its content */
export function readCredentials(options: CredentialsOptions): Credentials {
  const { dockerAuth, configDir, run = runHelper } = options
  const known =
    dockerAuth !== undefined
      ? parse('DOCKER_AUTH', dockerAuth, parseVariable)
      : configDir !== undefined
        ? readConfig(join(configDir, 'config.json'))
        : NONE
  return {
    async for(address) {
      const registry = canonicalRegistry(address)
      const server = registry === 'docker.io' ? HUB_SERVER : registry
      const helper = known.helpers.get(registry) ?? known.store
      const secrets = (helper && (await askHelper(run, helper, server))) || known.auths.get(registry)
      return secrets && conceal({ serveraddress: server, ...secrets })
    },
  }
}

const NONE: Known = { auths: new Map(), helpers: new Map(), store: undefined }

function readConfig(file: string): Known {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return NONE
    throw new DriverError('unavailable', `cannot read ${file}: ${code}`)
  }
  return parse(file, text, parseConfig)
}

/** A parser's own error says where it stumbled by quoting the text, so only `Malformed` is passed on. */
function parse(name: string, text: string, read: (value: unknown) => Known): Known {
  let reason = 'it is not valid JSON'
  try {
    const value: unknown = JSON.parse(text)
    reason = 'it has a shape that is not known'
    return read(value)
  } catch (error) {
    if (error instanceof Malformed) reason = error.message
    throw new DriverError('unavailable', `cannot use ${name}: ${reason}`)
  }
}

class Malformed extends Error {}

type Fields = Readonly<Record<string, unknown>>

function parseVariable(value: unknown): Known {
  if (!Array.isArray(value)) {
    const fields = objectOf(value, 'it')
    return 'auths' in fields
      ? { ...NONE, auths: parseAuths(fields['auths']) }
      : { ...NONE, auths: parseAuths(fields) }
  }
  const entries = value.map((entry): [string, unknown] => {
    const fields = objectOf(entry, 'an entry')
    return [textOf(fields, 'name'), fields]
  })
  return { ...NONE, auths: authsOf(entries) }
}

function parseConfig(value: unknown): Known {
  const { auths = {}, credHelpers = {}, ...rest } = objectOf(value, 'it')
  const helpers = Object.entries(objectOf(credHelpers, 'credHelpers')).map(
    ([registry, name]): [string, string] => [canonicalRegistry(registry), helperName(name)],
  )
  const { credsStore } = rest
  return {
    auths: parseAuths(auths),
    helpers: new Map(helpers),
    store: credsStore === undefined || credsStore === '' ? undefined : helperName(credsStore),
  }
}

const parseAuths = (value: unknown) => authsOf(Object.entries(objectOf(value, 'auths')))

/** Of two entries for one registry the first counts. */
function authsOf(entries: readonly [string, unknown][]): ReadonlyMap<string, Secrets> {
  const auths = new Map<string, Secrets>()
  for (const [address, entry] of entries) {
    const registry = canonicalRegistry(address)
    const secrets = parseSecrets(objectOf(entry, 'an entry'))
    if (secrets && !auths.has(registry)) auths.set(registry, secrets)
  }
  return auths
}

/** `undefined` for an entry that only says that a helper knows. */
function parseSecrets(entry: Fields): Secrets | undefined {
  const registrytoken = textOf(entry, 'registrytoken')
  const identitytoken = textOf(entry, 'identitytoken')
  const { username, password } = login(entry)
  if (registrytoken) return { registrytoken }
  if (identitytoken) return { ...(username && { username }), identitytoken }
  return username || password ? { username, password } : undefined
}

function login(entry: Fields): { username: string; password: string } {
  const auth = textOf(entry, 'auth')
  if (!auth) return { username: textOf(entry, 'username'), password: textOf(entry, 'password') }
  // Old clients padded with zero bytes.
  const text = Buffer.from(auth, 'base64').toString().replace(/\0+$/, '')
  const colon = text.indexOf(':')
  if (colon < 1) throw new Malformed('an auth must be the base64 of username:password')
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

function objectOf(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw new Malformed(`${what} must be an object`)
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name] ?? ''
  if (typeof value === 'string') return value
  throw new Malformed(`${name} must be a text`)
}

/** A name that cannot lead to another folder. */
function helperName(value: unknown): string {
  if (typeof value === 'string' && /^[a-z0-9-]+$/.test(value)) return value
  throw new Malformed('the name of a credential helper must be of a-z, 0-9 and -')
}

type Run = NonNullable<CredentialsOptions['run']>

/** `undefined` when it knows nothing of the server. What it says otherwise may be a secret, so it is never quoted. */
async function askHelper(run: Run, name: string, server: string): Promise<Secrets | undefined> {
  const program = `docker-credential-${name}`
  const fail = (why: string) => new DriverError('unavailable', `${program} ${why}`)
  const { code, stdout } = await run(program, ['get'], server)
  if (code === 'ENOENT') throw fail('is not installed')
  if (code !== 0) {
    if (/credentials not found/i.test(stdout)) return undefined
    throw fail(`failed for ${server} (${code})`)
  }
  try {
    const fields = objectOf(JSON.parse(stdout), 'it')
    const [username, secret] = [textOf(fields, 'Username'), textOf(fields, 'Secret')]
    if (!secret) return undefined
    return username === '<token>' ? { identitytoken: secret } : { username, password: secret }
  } catch {
    throw fail(`gave no credentials for ${server} but something else`)
  }
}

function runHelper(program: string, args: readonly string[], input: string): Promise<HelperResult> {
  return new Promise((resolve) => {
    const options = { timeout: HELPER_LIMIT, killSignal: 'SIGKILL', maxBuffer: 1024 ** 2 } as const
    const child = execFile(program, args, options, (error, stdout) => {
      resolve({ code: error ? (error.code ?? error.signal ?? 'failed') : 0, stdout })
    })
    child.stdin?.on('error', () => {}) // it ended without reading it
    child.stdin?.end(input)
  })
}

const conceal = (auth: Auth): Auth =>
  Object.defineProperties(
    {},
    Object.fromEntries(
      Object.entries(auth).map(([name, value]) => [name, { value, enumerable: name === 'serveraddress' }]),
    ),
  ) as Auth
