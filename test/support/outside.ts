import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

/** Another machine: a network of its own beside this one's, with an answer on a port of every address that it has. */
export interface Outside extends AsyncDisposable {
  readonly port: number
  /** Gives both ends an address of one range of four; the first is this machine's. */
  join(first: string, second: string): void
  /** Gives this machine another address there. */
  alias(address: string): void
}

/** Answers one byte with one byte, by TCP and UDP. */
const ANSWERS = `
const server = require('node:net').createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end('!')))
server.listen(0, '0.0.0.0', () => {
  const { port } = server.address()
  const udp = require('node:dgram').createSocket('udp4')
  udp.on('message', (_, { port, address }) => udp.send('!', port, address))
  udp.bind(port, '0.0.0.0', () => console.log(port))
})`

let made = 0

/** Needs root. No packet leaves this machine. */
export async function openOutside(): Promise<Outside> {
  const device = `slo${process.pid}-${++made}`
  const child = spawn('unshare', ['--net', '--', process.execPath, '-e', ANSWERS], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [port] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) })
  const there = (...args: string[]) => run('nsenter', `--net=/proc/${child.pid}/ns/net`, 'ip', ...args)
  run('ip', 'link', 'add', device, 'type', 'veth', 'peer', 'name', 'there', 'netns', `${child.pid}`)
  run('ip', 'link', 'set', device, 'up')
  for (const name of ['lo', 'there']) there('link', 'set', name, 'up')
  return {
    port: Number(port),
    join(first, second) {
      run('ip', 'address', 'add', `${first}/30`, 'dev', device)
      there('address', 'add', `${second}/30`, 'dev', 'there')
    },
    alias: (address) => run('ip', 'address', 'add', `${address}/32`, 'dev', device),
    async [Symbol.asyncDispose]() {
      run('ip', 'link', 'delete', device)
      child.kill('SIGKILL')
      await once(child, 'close')
    },
  }
}

function run(file: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr}`)
}
