// Does what a call asks for, and answers what came of it: what a driver states is tried from inside.
const { spawn, spawnSync } = require('node:child_process')
const dns = require('node:dns/promises')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')

const TMP = process.env.TMPDIR ?? '/tmp'
/** What children wait on: it never comes. */
const FOREVER = ['/bin/sh', ['-c', 'read never'], { stdio: ['pipe', 'ignore', 'ignore'] }]

const operations = {
  identity: () => ({ uid: process.getuid(), gid: process.getgid(), cwd: process.cwd(), env: process.env }),

  read: ({ path }) => fs.readFileSync(path, 'utf8'),

  write: ({ path, text }) => fs.writeFileSync(path, text),

  writeTemporary: () => {
    fs.writeFileSync(`${TMP}/mine`, 'mine')
    return fs.readFileSync(`${TMP}/mine`, 'utf8')
  },

  /** Bytes that a folder took, its temporary one unless told otherwise, and why it took no more. */
  fill: ({ upTo, dir = TMP }) => {
    const file = fs.openSync(`${dir}/full`, 'w')
    let bytes = 0
    try {
      while (bytes < upTo) bytes += fs.writeSync(file, Buffer.alloc(256 * 1024))
      return { bytes }
    } catch ({ code }) {
      return { bytes, code }
    } finally {
      fs.closeSync(file)
      fs.rmSync(`${dir}/full`)
    }
  },

  interfaces: () => Object.keys(os.networkInterfaces()),

  lookup: async ({ name }) => (await dns.lookup(name)).address,

  connect: ({ to }) =>
    new Promise((resolve, reject) => {
      const socket = net.connect(to)
      socket.setTimeout(2_000, () => socket.destroy(new Error('no answer')))
      socket.once('connect', () => socket.destroy() && resolve('connected'))
      socket.once('error', reject)
    }),

  /** The command lines of all processes that it can see. */
  processes: () =>
    fs
      .readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => attempt(() => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8'))),

  /** Milliseconds of CPU time that it got in so many of the clock. */
  burn: ({ ms }) => {
    const before = process.cpuUsage()
    const end = performance.now() + ms
    while (performance.now() < end);
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1_000
  },

  spin: () => {
    for (;;);
  },

  /** Memory, all of it written to, until there is no more. */
  eat: () => {
    for (const eaten = []; ; ) eaten.push(Buffer.alloc(1024 * 1024, 1))
  },

  /** The same in a child, so that it is not the first process that goes too far. */
  eatInChild: () => {
    const greedy = 'for (const eaten = []; ; ) eaten.push(Buffer.alloc(1024 * 1024, 1))'
    const { status, signal } = spawnSync(process.execPath, ['-e', greedy])
    return { status, signal }
  },

  /** How many of so many children it got. */
  fork: ({ children }) => {
    const made = Array.from({ length: children }, () => spawn(...FOREVER))
    for (const child of made) child.on('error', () => {})
    return made.filter(({ pid }) => pid !== undefined).length
  },
}

function attempt(read) {
  try {
    return read()
  } catch {
    return ''
  }
}

module.exports = async (request) => {
  const { operation, ...input } = await request.json()
  try {
    return { value: (await operations[operation](input)) ?? null }
  } catch (error) {
    return { error: error.code ?? error.message }
  }
}
