import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import net from 'node:net'
import { test } from 'node:test'
import { type BundleProcess, serverProgram, startProgram } from '../../test/support/bundle-process.ts'
import { writeFiles } from '../../test/support/files.ts'
import { tempDir } from '../../test/support/temp.ts'
import { until } from '../../test/support/until.ts'

const ON_LINUX = process.platform === 'linux' ? false : 'only Linux has abstract sockets'

async function started(files: string | Readonly<Record<string, string>>): Promise<BundleProcess> {
  const fn = await startProgram(files)
  await fn.ready()
  return fn
}

const starts: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'a CommonJS program': { 'func.js': serverProgram("res.end('up')") },
  'a program that listens only when it is the main module': {
    'func.js': `if (require.main === module) ${serverProgram("res.end('up')")}`,
  },
  'an ES module': {
    'func.mjs': `import http from 'node:http'
      http.createServer((req, res) => res.end('up')).listen(process.env.PORT)`,
  },
  'an ES module that only listens when it is the main one': {
    'func.mjs': `import http from 'node:http'
      if (import.meta.main) http.createServer((req, res) => res.end('up')).listen(process.env.PORT)`,
  },
  'an ES module that never ends its top level': {
    'func.mjs': `import http from 'node:http'
      const server = http.createServer().listen(process.env.PORT)
      const { on } = await import('node:events')
      for await (const [, res] of on(server, 'request')) res.end('up')`,
  },
  'a TypeScript program': {
    'func.ts': `import http from 'node:http'
      const port: string | undefined = process.env.PORT
      http.createServer((req, res) => void res.end('up')).listen(port)`,
  },
  'main of package.json': {
    'package.json': '{"main":"lib/start"}',
    'lib/start.js': serverProgram("res.end('up')"),
  },
  'a program that listens on 127.0.0.1 alone': {
    'func.js': `require('http').createServer((req, res) => res.end('up')).listen(process.env.PORT, '127.0.0.1')`,
  },
  'a program that listens on ::1 alone': {
    'func.js': `require('http').createServer((req, res) => res.end('up')).listen(process.env.PORT, '::1')`,
  },
  'a program that listens on HOST': {
    'func.js': `require('http').createServer((req, res) => res.end('up')).listen(process.env.PORT, process.env.HOST)`,
  },
}
for (const [title, files] of Object.entries(starts))
  test(`${title} runs as it is`, async () => {
    await using fn = await started(files)
    assert.equal((await fn.call()).body, 'up')
    assert.equal(fn.stderr(), '')
  })

test('the socket appears only when the program accepts connections', async () => {
  await using fn = await startProgram(`
    const server = require('node:http').createServer((req, res) => res.end('up'))
    process.stdin.once('data', () => setTimeout(() => server.listen(process.env.PORT), 100))
    console.log('loaded')`)
  await until('the program to be loaded', () => fn.stdout().includes('loaded'))
  const waits = /still waiting for the function to accept connections on PORT \(\d+\)\n/
  await until('a word about it', () => waits.test(fn.stderr()))
  assert.equal(existsSync(fn.socket), false)
  fn.child.stdin.write('go')
  await fn.ready()
  assert.equal(statSync(fn.socket).mode & 0o777, 0o666)
  assert.equal((await fn.call()).body, 'up')
  assert.match(fn.stderr(), new RegExp(`^${waits.source}$`), 'said once')
})

test('two functions never choose the same port', { skip: ON_LINUX }, async () => {
  await using other = net.createServer()
  const port = await new Promise<number>((resolve) => {
    const probe = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as net.AddressInfo
      other.listen(`\0sluice-port-${port}`, () => probe.close(() => resolve(port)))
    })
  })
  // The system offers that port first, then others.
  const offers = `const net = require('net'), { listen } = net.Server.prototype
    let first = true
    net.Server.prototype.listen = function (where, ...rest) {
      if (where.port === 0 && first) { first = false; where = { ...where, port: ${port} } }
      return listen.call(this, where, ...rest)
    }`
  await using temp = await tempDir()
  await writeFiles(temp.path, { 'offers.cjs': offers })
  const flags = ['--require', `${temp.path}/offers.cjs`]
  await using fn = await startProgram('console.log(process.env.PORT); process.stdin.resume()', { flags })
  await until('its port', () => /^\d+\n$/.test(fn.stdout()))
  assert.notEqual(fn.stdout(), `${port}\n`)
})

test('the port of a function is kept for it while it runs', { skip: ON_LINUX }, async () => {
  await using fn = await startProgram(`
    const { createServer } = require('node:net')
    createServer().on('error', ({ code }) => console.log(code)).listen('\\0sluice-port-' + process.env.PORT)
    process.stdin.resume()`)
  await until('the answer', () => fn.stdout() === 'EADDRINUSE\n')
})

const ends: Readonly<Record<string, readonly [string, number]>> = {
  'has nothing to do': ['', 1],
  'exits with success': ['process.exit(0)', 1],
  'exits with a code of its own': ['process.exit(7)', 7],
  throws: ['throw new TypeError("oh")', 1],
  'throws later': ['setImmediate(() => { throw new TypeError("oh") })', 1],
  rejects: ['Promise.reject(new TypeError("oh"))', 1],
}
for (const [what, [source, code]] of Object.entries(ends))
  test(`a program that ${what} before it listens ends the container, and PORT is named`, async () => {
    await using fn = await startProgram(source)
    assert.equal(await fn.exit, code)
    assert.match(fn.stderr(), /^the function ended before it accepted connections on PORT \(\d+\)$/m)
    if (source.includes('oh')) assert.match(fn.stderr(), /TypeError: oh\n +at /)
    assert.equal(existsSync(fn.socket), false)
  })

test('a program that ends after it was ready is not told of PORT', async () => {
  await using fn = await started(`${serverProgram('process.exit(3)')}`)
  await assert.rejects(fn.call(), { code: 'ECONNRESET' })
  assert.deepEqual([await fn.exit, fn.stderr()], [3, ''])
})

test('a program that closes its server ends', async () => {
  await using fn = await started(`
    const server = require('node:http').createServer((req, res) => { server.close(); res.end('last') })
    server.listen(process.env.PORT)`)
  assert.equal((await fn.call()).body, 'last')
  assert.equal(await fn.exit, 0)
})

test('a script cannot be run on a port', async () => {
  await using fn = await startProgram({ 'func.sh': 'exit 0' })
  assert.equal(await fn.exit, 1)
  assert.match(fn.stderr(), /^cannot run func\.sh with format port: that takes JavaScript or TypeScript\n$/)
})

test("under Node's permission model a program runs as well", async () => {
  const flags = ['--permission', '--allow-net', '--allow-fs-read=/', '--allow-fs-write=/tmp']
  await using fn = await startProgram(serverProgram('req.pipe(res)'), { flags })
  await fn.ready()
  assert.equal((await fn.call({}, 'x')).body, 'x')
})
