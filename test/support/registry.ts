import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { pack } from 'tar-stream'
import type { Docker } from './docker-client.ts'
import { tempDir } from './temp.ts'
import { until } from './until.ts'

export interface Login {
  readonly user: string
  readonly password: string
}

/** A real image registry behind a door that can be watched and shut. */
export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:<port>`: engines speak plain HTTP to the loopback addresses. */
  readonly address: string
  readonly login: Login
  /** `METHOD /path` of what was asked for since the start, or since it was last emptied. */
  readonly requests: string[]
  /** Keeps the bytes of layers back until it is disposed; their requests are counted as waiting. */
  hold(): Disposable
  readonly waiting: number
  /** Refuses connections, and breaks those that are open. */
  shut(): Promise<void>
  /** Lets them in again, at the same address. */
  open(): Promise<void>
}

/** Why a suite that needs a registry is skipped; `false` where the program is there. @throws where CI promises it */
export function registryMissing(): string | false {
  if (process.env['PATH']?.split(delimiter).some((dir) => isProgram(join(dir, 'docker-registry'))))
    return false
  if (process.env['CI']) throw new Error('docker-registry is not installed')
  return 'install docker-registry'
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The password `sesame`, for where Apache's htpasswd is not installed. */
const SESAME = '$2y$05$OVxvMJfTXxfQIQvqEaCO1.H8cGkhUzx4KmYbvkawrYxyYbQxbJMMu'

/** Starts a registry that asks for a password. Disposing it ends it. */
export async function startRegistry(login: Login): Promise<Registry> {
  await using undo = new AsyncDisposableStack()
  const { path: dir } = undo.use(await tempDir())
  const socket = join(dir, 'socket')
  await writeConfig(dir, socket, login)
  const child = spawn('docker-registry', ['serve', join(dir, 'config.yml')], {
    env: { PATH: process.env['PATH'] ?? '', OTEL_TRACES_EXPORTER: 'none' },
    stdio: 'ignore',
  })
  undo.defer(() => end(child))
  await until('the registry to listen', () => {
    if (child.exitCode !== null) throw new Error(`docker-registry ended with ${child.exitCode}`)
    return accepts(socket)
  })
  const door = await openDoor(socket, login)
  undo.defer(door[Symbol.asyncDispose])
  const held = undo.move()
  return Object.assign(door, { [Symbol.asyncDispose]: () => held.disposeAsync() })
}

async function writeConfig(dir: string, socket: string, { user, password }: Login): Promise<void> {
  await mkdir(join(dir, 'storage'))
  await writeFile(join(dir, 'htpasswd'), `${hashLine(user, password)}\n`, { mode: 0o600 })
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'storage') }, delete: { enabled: true } },
    http: { net: 'unix', addr: socket, relativeurls: true },
    auth: { htpasswd: { realm: 'test', path: join(dir, 'htpasswd') } },
  }
  await writeFile(join(dir, 'config.yml'), JSON.stringify(config)) // JSON is YAML
}

function hashLine(user: string, password: string): string {
  try {
    return execFileSync('htpasswd', ['-nbB', user, password], { encoding: 'utf8' }).trim()
  } catch (error) {
    if (password === 'sesame') return `${user}:${SESAME}`
    throw error
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

async function openDoor(socketPath: string, login: Login): Promise<Registry> {
  const requests: string[] = []
  let gate: PromiseWithResolvers<void> | undefined
  let waiting = 0

  /** False when the asker left in the meantime. */
  const pass = async (res: ServerResponse): Promise<boolean> => {
    if (!gate) return true
    const left = once(res, 'close').then(() => false)
    waiting++
    const stays = await Promise.race([gate.promise.then(() => true), left])
    waiting--
    return stays
  }
  const serve = async (req: IncomingMessage, res: ServerResponse) => {
    requests.push(`${req.method} ${req.url}`)
    if (req.method === 'GET' && req.url?.includes('/blobs/') && !(await pass(res))) return
    await forward(req, res, socketPath).catch(() => res.destroy())
  }
  const server = createServer((req, res) => void serve(req, res))
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const shut = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  const port = await listen(0)
  return {
    address: `127.0.0.1:${port}`,
    login,
    requests,
    hold() {
      const held = Promise.withResolvers<void>()
      gate = held
      return {
        [Symbol.dispose]() {
          gate = undefined
          held.resolve()
        },
      }
    },
    get waiting() {
      return waiting
    },
    shut,
    open: async () => void (await listen(port)),
    [Symbol.asyncDispose]: shut,
  }
}

async function forward(req: IncomingMessage, res: ServerResponse, socketPath: string): Promise<void> {
  const onward = request({
    socketPath,
    method: req.method,
    path: req.url,
    headers: req.headers,
    agent: false,
  })
  res.once('close', () => onward.destroy())
  const answered = once(onward, 'response') as Promise<[IncomingMessage]>
  const [[answer]] = await Promise.all([answered, pipeline(req, onward)])
  res.writeHead(answer.statusCode as number, answer.headers)
  await pipeline(answer, res)
}

export interface PushedImage {
  readonly ref: string
  /** `<name>@sha256:…` */
  readonly digestRef: string
}

/**
 * Makes an image of random files, one a layer, and pushes it. The engine keeps nothing of it.
 * @param name like `images-hello:1`
 */
export async function pushImage(
  docker: Docker,
  registry: Registry,
  name: string,
  { layers = 1, size = 1024 }: { readonly layers?: number; readonly size?: number } = {},
): Promise<PushedImage> {
  const ref = `${registry.address}/${name}`
  await makeImage(docker, ref, { layers, size })
  return moveImage(docker, registry, ref)
}

/** Pushes an image to the registry that its name begins with; the engine has it no longer then. */
export async function moveImage(docker: Docker, registry: Registry, ref: string): Promise<PushedImage> {
  const { user: username, password } = registry.login
  try {
    const events = await docker.push(ref, { username, password, serveraddress: registry.address })
    const digest = events.flatMap(({ aux }) => aux?.Digest ?? [])[0]
    return { ref, digestRef: `${ref.replace(/:[^:/]*$/, '')}@${digest}` }
  } finally {
    await docker.removeImage(ref)
  }
}

/** Makes an image on the engine alone. One layer is imported, which is far quicker than to build several. */
export async function makeImage(
  docker: Docker,
  ref: string,
  { layers = 1, size = 1024 }: { readonly layers?: number; readonly size?: number } = {},
): Promise<void> {
  const tar = pack()
  const names = Array.from({ length: layers }, (_, i) => `file${i}`)
  const lines = ['FROM scratch', ...names.map((name) => `COPY ${name} /${name}`)]
  if (layers > 1) tar.entry({ name: 'Dockerfile' }, lines.join('\n'))
  for (const name of names) tar.entry({ name, mode: 0o755 }, randomBytes(size))
  tar.finalize()
  const [, repo, tag] = /^(.*):(.*)$/.exec(ref) as unknown as [string, string, string]
  await (layers > 1 ? docker.build(tar, ref) : docker.importImage(tar, { repo, tag }))
}
