// @ts-check
'use strict'
/**
 * Runs a program that listens on PORT, unchanged, and relays FN_LISTENER to that port (relay.cjs).
 *
 * In this process, not in a child: a second Node would add 45 MiB resident (this adds 7) where limits are 128 MiB, and
 * double the start, and under Node's permission model there can be no child. A program that exits, crashes or blocks its event loop
 * answers no call either way, and whether it is ready is found by connecting, however it came to listen.
 */
const fs = require('node:fs')
const net = require('node:net')
const { setTimeout: delay } = require('node:timers/promises')
const { makeRelay } = require('./relay.cjs')
const { listen } = require('./serve.cjs')

/** A program may listen on `localhost`, and that be either. */
const LOOPBACK = ['127.0.0.1', '::1']
/** ms between two looks whether the program accepts connections: doubles from 1 to this. */
const SLOWEST = 25
/** ms after which the log tells what is waited for. */
const PATIENCE = 2_000

/**
 * @param {string} entry
 * @param {string} listener
 */
exports.runProgram = async (entry, listener) => {
  const port = await takePort()
  process.env.PORT = String(port)
  process.env.HOST ??= '127.0.0.1' // those that read it need not be open to the network
  /** @type {(code: number) => void} */
  const explain = (code) => {
    fs.writeSync(2, `the function ended before it accepted connections on PORT (${port})\n`)
    if (code === 0) process.exitCode = 1
  }
  process.on('exit', explain)
  void untilAccepting(port).then((host) => {
    const relay = makeRelay(host, port)
    listen(relay, listener, () => process.off('exit', explain))
    relay.unref() // it lives as long as the program
  })
  require('node:module').runMain(entry) // as `node entry`: `require.main === module` holds
}

/**
 * A port nobody listens on. Functions that share a network choose while others have chosen and do not listen yet:
 * a name among that network's abstract sockets, held as long as this process lives, keeps each port for one of them.
 * @returns {Promise<number>}
 */
async function takePort() {
  for (;;) {
    const probe = net.createServer()
    await opened(probe, { host: '127.0.0.1', port: 0 })
    const { port } = /** @type {net.AddressInfo} */ (probe.address())
    const lease = net.createServer().unref()
    const code = await opened(lease, { path: `\0sluice-port-${port}` }).catch((error) => error.code)
    probe.close()
    if (code !== 'EADDRINUSE') return port // other systems have no such sockets: there chance must do
  }
}

/** @type {(server: net.Server, where: net.ListenOptions) => Promise<void>} */
const opened = (server, where) =>
  new Promise((resolve, reject) => server.once('error', reject).listen(where, resolve))

/**
 * Where the program accepts connections. Waits without keeping the process alive: a program with nothing left to do ends.
 * @param {number} port
 * @returns {Promise<string>}
 */
async function untilAccepting(port) {
  const began = Date.now()
  let told = false
  for (let wait = 1; ; wait = Math.min(2 * wait, SLOWEST)) {
    for (const host of LOOPBACK) if (await accepts(host, port)) return host
    if (!told && Date.now() - began > PATIENCE) {
      told = true
      fs.writeSync(2, `still waiting for the function to accept connections on PORT (${port})\n`)
    }
    await delay(wait, undefined, { ref: false })
  }
}

/** @type {(host: string, port: number) => Promise<boolean>} */
const accepts = (host, port) =>
  new Promise((resolve) => {
    const socket = net.connect({ host, port }).unref()
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
