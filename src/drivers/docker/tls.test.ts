import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { basename, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { createServer } from 'node:tls'
import { promisify } from 'node:util'
import { type EngineRig, engineRig } from '../../../test/support/docker-rig.ts'
import { testEngine } from '../../../test/support/engine.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { complete, never, specOf } from '../contract/support.ts'
import type { Tls } from './client.ts'

const run = promisify(execFile)
const { host, skip } = testEngine('docker')
const missing = await run('openssl', ['version']).then(
  () => false as const,
  () => 'install openssl',
)
if (missing && process.env['CI']) throw new Error(missing)

if (skip || missing) test('an engine behind TLS', { skip: skip || missing }, () => {})
else {
  const rig = await engineRig(host)
  after(() => rig[Symbol.asyncDispose]())
  suite(rig)
}

function suite(rig: EngineRig): void {
  const unavailable = (told: RegExp) => (error: unknown) => {
    const { fault, message } = error as { fault?: string; message: string }
    assert.equal(fault, 'unavailable', message)
    assert.match(message, told)
    assert.doesNotMatch(message, /\n|PRIVATE KEY/)
    return true
  }

  describe('an engine behind TLS', () => {
    test('runs containers for who has the right certificate, to the end of their input', async () => {
      await using office = await openOffice()
      await using door = await openDoor(host, office.server)
      await using driver = await rig.open({ host: door.host, tls: office.client, holders: 0 })
      const spec = specOf('upper', { mode: 'cold', command: ['/bin/sh', '-c', 'cat; echo done'] })
      await using cookie = await driver.prepare(spec, never)
      const { result, stdout } = await complete(await cookie.run(never), 'hello ')
      assert.deepEqual([result.status, stdout], ['success', 'hello done\n'])
    })

    test('has nothing to warn of that TCP without it has', async () => {
      await using office = await openOffice()
      await using door = await openDoor(host, office.server)
      await using driver = await rig.open({ host: door.host, tls: office.client, holders: 0 })
      assert.doesNotMatch(driver.capabilities.warnings.join(), /TLS/)
    })

    test('refuses who has no certificate', async () => {
      await using office = await openOffice()
      await using door = await openDoor(host, office.server)
      const nobody = { ca: office.client.ca } as Tls
      await assert.rejects(rig.open({ host: door.host, tls: nobody }), unavailable(/certificate required/i))
    })

    test('refuses who does not speak it', async () => {
      await using office = await openOffice()
      await using door = await openDoor(host, office.server)
      await assert.rejects(rig.open({ host: door.host }), unavailable(/^no Docker engine answers at tcp:/))
    })

    test("refuses another authority's certificate", async () => {
      await using office = await openOffice()
      await using other = await openOffice()
      await using door = await openDoor(host, office.server)
      const stranger = { ...other.client, ca: office.client.ca }
      await assert.rejects(
        rig.open({ host: door.host, tls: stranger }),
        unavailable(/hang up|ECONNRESET|unknown ca|bad certificate/i),
      )
    })

    test('is refused when its own certificate is of another authority', async () => {
      await using office = await openOffice()
      await using other = await openOffice()
      await using door = await openDoor(host, office.server)
      const tls = { ...office.client, ca: other.client.ca }
      await assert.rejects(
        rig.open({ host: door.host, tls }),
        unavailable(/verif|self.signed|unable to get/i),
      )
      assert.equal(door.passed(), 0)
    })
  })
}

interface Office extends AsyncDisposable {
  readonly server: Tls
  readonly client: Tls
}

/** An authority, with a certificate for 127.0.0.1 and one for a client. */
async function openOffice(): Promise<Office> {
  await using undo = new AsyncDisposableStack()
  const { path } = undo.use(await tempDir())
  const file = (name: string) => join(path, name)
  const certify = (name: string, more: readonly string[]) =>
    run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
      ...['-subj', `/CN=sluice ${name} ${basename(path)}`],
      ...['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`), ...more],
    ])
  await certify('ca', [])
  const by = ['-CA', file('ca.pem'), '-CAkey', file('ca.key')]
  await certify('server', [...by, '-addext', 'subjectAltName=IP:127.0.0.1'])
  await certify('client', by)
  const read = (name: string) => readFile(file(name), 'utf8')
  const tlsOf = async (name: string): Promise<Tls> => ({
    ca: await read('ca.pem'),
    cert: await read(`${name}.pem`),
    key: await read(`${name}.key`),
  })
  const [server, client] = await Promise.all([tlsOf('server'), tlsOf('client')])
  const held = undo.move()
  return { server, client, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

interface Door extends AsyncDisposable {
  readonly host: string
  /** Connections that got through to the engine. */
  passed(): number
}

/** Lets to an engine who shows a certificate. */
async function openDoor(engine: string, tls: Tls): Promise<Door> {
  const sockets = new Set<Socket>()
  let passed = 0
  const hold = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  }
  const server = createServer({ ...tls, requestCert: true, allowHalfOpen: true }, (front) => {
    passed++
    const back = connect({ path: engine.replace('unix://', ''), allowHalfOpen: true })
    for (const socket of [front, back]) hold(socket)
    front.pipe(back).pipe(front)
    front.on('close', () => back.destroy())
    back.on('close', () => front.destroySoon())
  })
  server.on('connection', hold)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    host: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed: () => passed,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
