import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { DriverError } from '../driver.ts'
import type { Shield } from '../inherited.ts'
import { ADDRESSING, closing, DEVICE, OWN_NETWORK, opening, parseOwn, type Reach } from './destinations.ts'
import { findProgram } from './installed.ts'
import { readNames } from './nameservers.ts'
import { within } from './within.ts'

/** The programs that give a container a network of its own. */
export interface UplinkTools {
  readonly slirp: string
  readonly ip: string
  readonly nsenter: string
}

/** Program → what brings it on Debian. */
const TOOLS = { slirp4netns: 'slirp4netns', ip: 'iproute2', nsenter: 'util-linux' } as const

/** @returns the tools, or what is missing: root, since bubblewrap's network belongs to a user of its own, or what to install */
export function findUplink(): UplinkTools | { readonly missing: string } {
  if (process.getuid?.() !== 0) return { missing: 'run the node as root' }
  const [slirp, ip, nsenter] = Object.keys(TOOLS).map((name) => findProgram(name))
  if (slirp !== undefined && ip !== undefined && nsenter !== undefined) return { slirp, ip, nsenter }
  const missing = Object.entries(TOOLS).filter(([name]) => findProgram(name) === undefined)
  return { missing: `install ${missing.map(([, debian]) => debian).join(' and ')}` }
}

export interface UplinkOptions {
  readonly tools: UplinkTools
  readonly reach: Reach
  readonly inherited: Shield['stdio']
  readonly clock: Clock
  /** Called with the pid of the process that carries a container's packets, before it carries any. */
  readonly adopt: (pid: number) => Promise<void> | undefined
}

/** A container's way out. Disposing it closes it. */
export interface Uplink extends AsyncDisposable {
  /** Closes it to the addresses that this machine has got in the meantime. */
  refresh(): void
}

/** Milliseconds. */
const LIMIT = 10_000

/**
 * Gives the network of a process a way out, closed to this machine and to what it shall not reach, before the process
 * runs anything of a function. The packets are carried by a process of its own that has no rights and no files, that
 * ends with this one, and that counts as the container's.
 * @throws DriverError `unavailable`: then there is none
 */
export async function openUplink(pid: number, options: UplinkOptions): Promise<Uplink> {
  const { reach } = options
  const carrier = await startCarrier(pid, options)
  let closed = closedNow(reach)
  try {
    await configure(pid, [...ADDRESSING, ...closed, ...opening(readNames().servers)], options)
  } catch (error) {
    await carrier[Symbol.asyncDispose]()
    throw error
  }
  return {
    refresh() {
      const now = closedNow(reach)
      if (now.join() === closed.join()) return
      closed = now
      configure(pid, now, options).catch(() => {
        closed = [] // and again the next time
      })
    },
    [Symbol.asyncDispose]: () => carrier[Symbol.asyncDispose](),
  }
}

const closedNow = (reach: Reach): string[] =>
  closing(parseOwn(readFileSync('/proc/net/fib_trie', 'latin1')), reach)

/** Descriptors of slirp4netns: it ends when the first is closed, and writes to the second when it carries. */
const EXIT_FD = 3
const READY_FD = 4

async function startCarrier(pid: number, options: UplinkOptions): Promise<AsyncDisposable> {
  const { tools, adopt } = options
  const flags = [
    '--netns-type=path',
    ...[`--cidr=${OWN_NETWORK}`, '--mtu=65520', '--enable-sandbox', '--enable-seccomp'],
    // The gateway and the resolver that it would offer lead to this machine's loopback.
    ...['--disable-host-loopback', '--disable-dns'],
    ...[`--exit-fd=${EXIT_FD}`, `--ready-fd=${READY_FD}`],
  ]
  const program = await start(tools.slirp, [...flags, `/proc/${pid}/ns/net`, DEVICE], options)
  const { child, ended } = program
  const dispose = async () => {
    child.kill('SIGKILL')
    await ended
  }
  try {
    await adopt(child.pid as number)
    const ready = once(child.stdio[READY_FD] as Readable, 'data').then(() => undefined)
    await within(Promise.race([ready, ended.then(fail)]), LIMIT, options.clock)
    return { [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw unavailable(error)
  }
}

/** Runs lines of `ip -batch` in the network of a process. */
async function configure(pid: number, lines: readonly string[], options: UplinkOptions): Promise<void> {
  const { tools, clock } = options
  const flags = [`--net=/proc/${pid}/ns/net`, '--', tools.ip, '-batch', '-']
  const { child, ended } = await start(tools.nsenter, flags, options)
  child.stdin?.end(`${lines.join('\n')}\n`)
  try {
    const end = await within(ended, LIMIT, clock)
    if (end.code !== 0) fail(end)
  } catch (error) {
    child.kill('SIGKILL')
    throw unavailable(error)
  }
}

interface Program {
  readonly child: ChildProcess
  readonly ended: Promise<End>
}

interface End {
  readonly code: number | null
  /** What it wrote to stderr. */
  readonly words: string
}

/** @throws DriverError `no-room` when this machine cannot start another process */
async function start(file: string, args: readonly string[], { inherited }: UplinkOptions): Promise<Program> {
  try {
    const child = spawn(file, args, {
      env: {},
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe', 'pipe', 'pipe', ...inherited.slice(2)],
    })
    let words = ''
    for (const pipe of child.stdio) pipe?.on('error', () => {})
    child.stderr?.on('data', (chunk: Buffer) => {
      words = `${words}${chunk}`.slice(-WORDS)
    })
    const code = once(child, 'close').then(
      ([code]) => code,
      () => null,
    )
    await once(child, 'spawn')
    return { child, ended: code.then((code) => ({ code, words: wordsOf(words) })) }
  } catch (error) {
    throw new DriverError('no-room', `cannot start a process: ${messageOf(error)}`, { cause: error })
  }
}

const WORDS = 1024

const wordsOf = (text: string): string =>
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('WARNING'))
    .join('; ')

function fail({ code, words }: End): never {
  throw new Error(words || `it ended with ${code}`)
}

const unavailable = (error: unknown): DriverError =>
  error instanceof DriverError
    ? error
    : new DriverError('unavailable', `cannot make a network of its own: ${messageOf(error)}`, {
        cause: error,
      })
