import assert from 'node:assert/strict'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { tempDir } from '../../../test/support/temp.ts'
import { DriverError } from '../driver.ts'
import { type Auth, type HelperResult, readCredentials } from './credentials.ts'

const SECRET = 'hunter2-do-not-show'
const base64 = (text: string) => Buffer.from(text).toString('base64')

/** What does not show by itself. */
const seen = (auth: Auth | undefined) =>
  auth && {
    username: auth.username,
    password: auth.password,
    identitytoken: auth.identitytoken,
    registrytoken: auth.registrytoken,
  }
const login = (username: string, password: string) => ({
  username,
  password,
  identitytoken: undefined,
  registrytoken: undefined,
})
const fromVariable = (value: unknown, registry: string) =>
  readCredentials({ dockerAuth: JSON.stringify(value) }).for(registry)

let dir: Awaited<ReturnType<typeof tempDir>>
beforeEach(async () => {
  dir = await tempDir()
})
afterEach(() => dir[Symbol.asyncDispose]())

const writeConfig = (config: unknown) =>
  writeFile(join(dir.path, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config))
const fromConfig = async (
  config: unknown,
  registry: string,
  run?: Parameters<typeof readCredentials>[0]['run'],
) => {
  await writeConfig(config)
  return readCredentials({ configDir: dir.path, ...(run && { run }) }).for(registry)
}

describe('which credentials are for a registry', () => {
  const entries = [
    { name: 'r.example', username: 'a', password: '1' },
    { name: 'other.example:5000', username: 'b', password: '2' },
  ]

  test('those of its own name', async () => {
    assert.deepEqual(seen(await fromVariable(entries, 'other.example:5000')), login('b', '2'))
  })

  test('none, for a name that only ends like one that is known', async () => {
    assert.equal(await fromVariable(entries, 'evil-r.example'), undefined)
    assert.equal(await fromVariable(entries, 'example'), undefined)
    assert.equal(await fromVariable(entries, ''), undefined)
  })

  test('none, for another port', async () => {
    assert.equal(await fromVariable(entries, 'other.example'), undefined)
  })

  for (const name of [
    'docker.io',
    'index.docker.io',
    'https://index.docker.io/v1/',
    'registry-1.docker.io',
    '',
  ])
    test(`'${name}' is Docker Hub`, async () => {
      const auth = await fromVariable([{ name, username: 'a', password: '1' }], '')
      assert.deepEqual(seen(auth), login('a', '1'))
      assert.equal(auth?.serveraddress, 'https://index.docker.io/v1/')
    })

  for (const name of ['https://r.example', 'http://r.example/', 'r.example/v2', 'https://R.example/v1/'])
    test(`'${name}' is r.example`, async () => {
      const auth = await fromVariable([{ name, username: 'a', password: '1' }], 'r.example')
      assert.deepEqual(seen(auth), login('a', '1'))
      assert.equal(auth?.serveraddress, 'r.example')
    })

  test('the first of two entries', async () => {
    const twice = [...entries, { name: 'https://r.example/', username: 'c', password: '3' }]
    assert.deepEqual(seen(await fromVariable(twice, 'r.example')), login('a', '1'))
  })

  test('none, where nothing is configured', async () => {
    assert.equal(await readCredentials({ configDir: join(dir.path, 'missing') }).for('r.example'), undefined)
    assert.equal(await readCredentials({}).for('r.example'), undefined)
  })

  test('those of DOCKER_AUTH alone when it is set', async () => {
    await writeConfig({ auths: { 'r.example': { auth: base64('a:1') } } })
    assert.equal(await readCredentials({ dockerAuth: '[]', configDir: dir.path }).for('r.example'), undefined)
  })
})

describe('what entries look like', () => {
  test('an auth is the base64 of a name and a password, which may have colons', async () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 })
    const user = text.filter((name) => !name.includes(':'))
    const password = text.filter((word) => !word.endsWith('\0'))
    await fc.assert(
      fc.asyncProperty(user, password, async (name, word) => {
        const auths = { 'r.example': { auth: base64(`${name}:${word}`) } }
        assert.deepEqual(seen(await fromVariable(auths, 'r.example')), login(name, word))
      }),
    )
  })

  test('zero bytes after an auth are none of the password', async () => {
    const auth = await fromConfig({ auths: { 'r.example': { auth: base64('a:1\0\0') } } }, 'r.example')
    assert.deepEqual(seen(auth), login('a', '1'))
  })

  test('DOCKER_AUTH may hold what a config.json holds, or its auths alone', async () => {
    const auths = { 'r.example': { auth: base64('a:1') } }
    assert.deepEqual(seen(await fromVariable({ auths }, 'r.example')), login('a', '1'))
    assert.deepEqual(seen(await fromVariable(auths, 'r.example')), login('a', '1'))
  })

  test('an identity token goes before a password', async () => {
    const entry = { auth: base64('0000:'), identitytoken: 'token' }
    assert.deepEqual(seen(await fromConfig({ auths: { 'r.example': entry } }, 'r.example')), {
      ...login('0000', ''),
      password: undefined,
      identitytoken: 'token',
    })
  })

  test('an entry without anything is no entry', async () => {
    assert.equal(await fromConfig({ auths: { 'r.example': {} } }, 'r.example'), undefined)
  })
})

describe('what cannot be read', () => {
  const malformed: readonly unknown[] = [
    `{"auths": {"r.example": {"auth": "${SECRET}`,
    SECRET,
    'null',
    '[]',
    { auths: [SECRET] },
    { auths: { 'r.example': SECRET } },
    { auths: { 'r.example': { auth: base64(SECRET) } } },
    { auths: { 'r.example': { username: 'a', password: [SECRET] } } },
    { credsStore: `../${SECRET}` },
    { credHelpers: { 'r.example': `/bin/${SECRET}` } },
  ]
  for (const config of malformed)
    test(`a config.json of ${JSON.stringify(config).replaceAll(SECRET, '…')} is named, and nothing of it`, async () => {
      await writeConfig(config)
      assert.throws(
        () => readCredentials({ configDir: dir.path }),
        (error) => {
          assert.ok(error instanceof DriverError)
          assert.equal(error.fault, 'unavailable')
          assert.ok(error.message.startsWith(`cannot use ${join(dir.path, 'config.json')}: `), error.message)
          assert.ok(!inspect(error, { showHidden: true }).includes(SECRET))
          return true
        },
      )
    })

  for (const text of [SECRET, `[{"name": "${SECRET}"`, `[{"password": ["${SECRET}"]}]`, `["${SECRET}"]`])
    test(`a DOCKER_AUTH of ${text.replaceAll(SECRET, '…')} is named, and nothing of it`, () => {
      assert.throws(
        () => readCredentials({ dockerAuth: text }),
        (error) => {
          assert.ok(error instanceof DriverError)
          assert.match(error.message, /^cannot use DOCKER_AUTH: /)
          assert.ok(!inspect(error, { showHidden: true }).includes(SECRET))
          return true
        },
      )
    })

  test('a config.json that is a folder is named with the reason', async () => {
    const file = join(dir.path, 'config.json')
    await mkdir(file)
    assert.throws(() => readCredentials({ configDir: dir.path }), {
      fault: 'unavailable',
      message: `cannot read ${file}: EISDIR`,
    })
  })
})

describe('secrets', () => {
  const options = { dockerAuth: JSON.stringify([{ name: 'r.example', username: 'a', password: SECRET }]) }

  test('do not show when credentials are printed', async () => {
    const credentials = readCredentials(options)
    for (const shown of [credentials, await credentials.for('r.example')]) {
      assert.ok(!inspect(shown, { depth: null }).includes(SECRET))
      assert.ok(!JSON.stringify(shown).includes(SECRET))
      assert.ok(!JSON.stringify({ ...shown }).includes(SECRET))
    }
  })
})

describe('credential helpers', () => {
  /** A `docker-credential-test` on a PATH of its own, for as long as `work` takes. */
  const withHelper = async <T>(script: string, work: () => Promise<T>): Promise<T> => {
    const program = join(dir.path, 'docker-credential-test')
    await writeFile(program, `#!/bin/sh\n${script}\n`)
    await chmod(program, 0o755)
    const { PATH } = process.env
    process.env['PATH'] = `${dir.path}:${PATH}`
    try {
      return await work()
    } finally {
      process.env['PATH'] = PATH
    }
  }
  const ask = (config: unknown, script: string, registry: string) =>
    withHelper(script, () => fromConfig(config, registry))
  const store = { credsStore: 'test' }
  const result = (code: HelperResult['code'], stdout: string) => async () => ({ code, stdout })

  test('gets the server on its input, and gives a name and a password', async () => {
    const script = `read -r server; printf '{"Username":"%s","Secret":"%s"}' "$1" "$server"`
    assert.deepEqual(seen(await ask(store, script, 'r.example')), login('get', 'r.example'))
    assert.deepEqual(seen(await ask(store, script, '')), login('get', 'https://index.docker.io/v1/'))
  })

  test('gives an identity token under a name of its own', async () => {
    const auth = await ask(store, `echo '{"Username":"<token>","Secret":"t"}'`, 'r.example')
    assert.deepEqual(seen(auth), {
      ...login('', ''),
      username: undefined,
      password: undefined,
      identitytoken: 't',
    })
  })

  test('may know nothing: then the auths count, and then nobody', async () => {
    const script = 'echo credentials not found in native keychain; exit 1'
    assert.equal(await ask(store, script, 'r.example'), undefined)
    const both = { ...store, auths: { 'r.example': { auth: base64('a:1') } } }
    assert.deepEqual(seen(await ask(both, script, 'r.example')), login('a', '1'))
  })

  test('of one registry are asked for no other', async () => {
    const config = { credHelpers: { 'r.example': 'test' } }
    const script = `echo '{"Username":"a","Secret":"1"}'`
    assert.deepEqual(seen(await ask(config, script, 'r.example')), login('a', '1'))
    assert.equal(await ask(config, script, 'other.example'), undefined)
  })

  test('are asked again for every pull, since what they give may expire', async () => {
    await writeConfig(store)
    let asked = 0
    const run = async () => ({ code: 0, stdout: JSON.stringify({ Username: 'a', Secret: `${++asked}` }) })
    const credentials = readCredentials({ configDir: dir.path, run })
    await credentials.for('r.example')
    assert.deepEqual(seen(await credentials.for('r.example')), login('a', '2'))
  })

  test('that are missing are named', async () => {
    await assert.rejects(fromConfig({ credsStore: 'not-there' }, 'r.example'), {
      fault: 'unavailable',
      message: 'docker-credential-not-there is not installed',
    })
  })

  for (const [what, code, stdout] of [
    ['fail', 1, `the password ${SECRET} has expired`],
    ['are killed', 'SIGKILL', SECRET],
    ['say something else', 0, SECRET],
    ['say something of another shape', 0, `{"Username":"a","Secret":["${SECRET}"]}`],
  ] as const)
    test(`that ${what} are named, but not quoted`, async () => {
      await assert.rejects(fromConfig(store, 'r.example', result(code, stdout)), (error) => {
        assert.ok(error instanceof DriverError)
        assert.equal(error.fault, 'unavailable')
        assert.match(error.message, /^docker-credential-test /)
        assert.ok(!inspect(error, { showHidden: true }).includes(SECRET))
        return true
      })
    })

  test('that do not read their input do no harm', async () => {
    const auth = await ask(store, `exec 0<&-; echo '{"Username":"a","Secret":"1"}'`, 'r.example')
    assert.deepEqual(seen(auth), login('a', '1'))
  })
})
