import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { writeFiles } from './files.ts'
import { tempDir } from './temp.ts'
import { until } from './until.ts'

const BOOTSTRAP = fileURLToPath(new URL('../../src/fdk/bootstrap.cjs', import.meta.url))

export type RequestHeaders = Readonly<Record<string, string | string[]>>

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface BundleOptions {
  /** `FN_FORMAT`. */
  readonly format: string
  readonly env?: Readonly<Record<string, string>>
  /** Of Node. */
  readonly flags?: readonly string[]
  /** That follow the bundle's folder. */
  readonly args?: readonly string[]
}

/** A bundle that runs under the bootstrap in a process of its own. Disposing it kills it. */
export interface BundleProcess extends AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams
  /** Of `FN_LISTENER`. */
  readonly socket: string
  /** What it has written so far. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Its exit code, once its output is complete; `null` when a signal ended it. */
  readonly exit: Promise<number | null>
  /** Resolves when the socket has appeared. */
  ready(): Promise<void>
  /** A `POST /call` that is still open. */
  open(headers?: RequestHeaders): ClientRequest
  call(headers?: RequestHeaders, body?: string | Uint8Array): Promise<Answer>
}

/** Starts a folder, or a bundle of these files (path → content), in its folder as the drivers do. */
export async function startBundle(
  bundle: string | Readonly<Record<string, string>>,
  { format, env = {}, flags = [], args = [] }: BundleOptions,
): Promise<BundleProcess> {
  const temp = await tempDir()
  const folder = typeof bundle === 'string' ? bundle : join(temp.path, 'fn')
  if (typeof bundle !== 'string') await writeFiles(folder, bundle)
  const socket = join(temp.path, 'lsnr.sock')
  const warnings = ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON']
  const child = spawn(process.execPath, [...warnings, ...flags, BOOTSTRAP, folder, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], FN_FORMAT: format, FN_LISTENER: `unix:${socket}`, ...env },
  })
  child.stdin.on('error', () => {})
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  const exit = once(child, 'close').then(([code]) => code as number | null)
  const open: BundleProcess['open'] = (headers = {}) =>
    request({ socketPath: socket, agent: false, method: 'POST', path: '/call', headers })
  return {
    ...{ child, socket, stdout, stderr, exit, open },
    async ready() {
      await until('the socket', () => {
        if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${stderr()}`)
        return existsSync(socket) && listens(socket)
      })
    },
    async call(headers, body = '') {
      const req = open(headers)
      req.end(body)
      return answerOf(req)
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exit
      await temp[Symbol.asyncDispose]()
    },
  }
}

/** Whether a connection would be taken by what is in the socket's folder: a socket is there a moment before it is. */
const listens = (socket: string): boolean =>
  readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .some((line) => line.includes(` ${dirname(socket)}/`) && line.split(' ')[3] === LISTENING)
/** Flags of a socket in /proc/net/unix: `__SO_ACCEPTCON`. */
const LISTENING = '00010000'

/** A CommonJS program of format port whose server answers as `answer` says, a function body over `req` and `res`. */
export const serverProgram = (answer: string): string =>
  `require('node:http').createServer((req, res) => { ${answer} }).listen(process.env.PORT)`

/** Starts a program of format port: these files, or a `func.cjs` of this text. */
export const startProgram = (
  files: string | Readonly<Record<string, string>>,
  options: Omit<BundleOptions, 'format'> = {},
): Promise<BundleProcess> =>
  startBundle(typeof files === 'string' ? { 'func.cjs': files } : files, { ...options, format: 'port' })

export async function answerOf(req: ClientRequest): Promise<Answer> {
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  return { status: res.statusCode ?? 0, headers: res.headers, body: await text(res) }
}

/** What a node adds to a call by trigger. */
export const trigger = (method: string, url: string, headers: RequestHeaders = {}): RequestHeaders => ({
  'Fn-Intent': 'httprequest',
  'Fn-Http-Method': method,
  'Fn-Http-Request-Url': url,
  ...headers,
})

function collect(stream: NodeJS.ReadableStream): () => string {
  let seen = ''
  stream.setEncoding('utf8').on('data', (chunk) => {
    seen += chunk
  })
  return () => seen
}
