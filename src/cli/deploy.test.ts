import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCli } from '../../test/support/cli.ts'
import { writeFiles } from '../../test/support/files.ts'
import { type FnServer, startFnServer } from '../../test/support/fn-server.ts'
import { tempDir } from '../../test/support/temp.ts'

const YAML = `
name: cart
memory: 256
max_concurrency: 4
content_type: application/json
config: { LIMIT: 10 }
triggers:
  - { name: buy, type: http, source: /buy }
`
const SOURCE = 'export default () => ({ ok: true })'

async function makeFolder(yaml = YAML): Promise<Awaited<ReturnType<typeof tempDir>>> {
  const dir = await tempDir()
  await writeFiles(dir.path, { 'cart/func.yaml': yaml, 'cart/func.ts': SOURCE })
  return dir
}

const deploy = (server: FnServer, cwd: string, ...flags: string[]) =>
  runCli(['deploy', '--app', 'shop', '--no-check', ...flags, 'cart'], {
    cwd,
    env: { FN_API_URL: server.url },
  })

test('a first deploy creates the app, the function and its triggers from the uploaded folder', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  const { code, stderr } = await deploy(server, dir.path)
  assert.equal(code, 0, stderr)

  const [digest = ''] = server.bundles.keys()
  const bodies = server.requests
    .filter(({ method }) => method === 'POST')
    .map(({ path, body }) => [path, JSON.parse(body.toString())])
  assert.deepEqual(bodies, [
    ['/v2/apps', { name: 'shop' }],
    [
      '/v2/fns',
      {
        app_id: 'apps-1',
        name: 'cart',
        image: `bundle@sha256:${digest}`,
        memory: 256,
        max_concurrency: 4,
        config: { LIMIT: '10' },
        annotations: { 'sluice/func.yaml/1': ['config.LIMIT'] },
      },
    ],
    [
      '/v2/triggers',
      {
        app_id: 'apps-1',
        fn_id: 'fns-1',
        name: 'buy',
        type: 'http',
        source: '/buy',
        annotations: { 'sluice/func.yaml': true },
      },
    ],
  ])
})

test('the function is created after its bundle is there', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await deploy(server, dir.path)
  const [digest] = server.bundles.keys()
  assert.deepEqual(server.lines(), [
    'GET /v2/apps',
    'POST /v2/apps',
    `HEAD /v2/bundles/${digest}`,
    `PUT /v2/bundles/${digest}`,
    'GET /v2/fns',
    'POST /v2/fns',
    'GET /v2/triggers',
    'POST /v2/triggers',
  ])
})

test('it says what it did, where the function is, and how to call it', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  const { stdout } = await deploy(server, dir.path)
  const [digest = ''] = server.bundles.keys()
  const short = digest.slice(0, 12)
  assert.equal(
    stdout,
    `Deployed cart to app shop: ${server.url}/invoke/fns-1
app       shop          created
bundle    ${short}  uploaded  2 files, 3.0 KB
function  cart          created
trigger   buy           created   ${server.url}/t/shop/buy

Call it:
  curl -X POST -H 'Content-Type: application/json' '${server.url}/invoke/fns-1'
  curl -H 'Content-Type: application/json' '${server.url}/t/shop/buy'
  sluice invoke shop cart
`,
  )
})

test('deploying the same folder again changes nothing', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await deploy(server, dir.path)
  const before = server.requests.length
  const { stdout } = await deploy(server, dir.path)
  const methods = server.requests.slice(before).map(({ method }) => method)
  assert.deepEqual(methods, ['GET', 'GET', 'HEAD', 'GET'])
  assert.equal(stdout.match(/unchanged/g)?.length, 4)
})

test('only what changed is sent, and named', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await deploy(server, dir.path)
  await writeFiles(dir.path, { 'cart/func.yaml': YAML.replace('256', '512').replace('/buy', '/sell') })
  const { stdout } = await deploy(server, dir.path)
  const puts = server.requests.filter(({ method, path }) => method === 'PUT' && !path.includes('bundles'))
  const [fn, trigger] = puts.map(({ body }) => JSON.parse(body.toString()))
  assert.deepEqual([Object.keys(fn), fn.memory], [['image', 'memory'], 512])
  assert.deepEqual(trigger, { source: '/sell' })
  assert.match(stdout, /^Changed:\n {2}image: bundle \w{12} → bundle \w{12}\n {2}memory: 256 → 512\n\n/m)
})

test('a setting that leaves the file goes back to its default, and the change is printed', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder(`${YAML}network: true\ntimeout: 77\n`)
  await deploy(server, dir.path)
  const fn = server.items.fns.get('fns-1')
  assert.deepEqual([fn?.['network'], fn?.['timeout']], [true, 77])
  await writeFiles(dir.path, { 'cart/func.yaml': YAML.replace('memory: 256', '') })
  const { stdout } = await deploy(server, dir.path)
  assert.deepEqual([fn?.['network'], fn?.['timeout'], fn?.['memory']], [false, 30, 128])
  for (const line of ['network: true → false', 'timeout: 77 → 30', 'memory: 256 → 128'])
    assert.ok(stdout.includes(`\n  ${line}\n`), stdout)
})

test('a setting that was changed by other means is what the file says again', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await deploy(server, dir.path)
  Object.assign(server.items.fns.get('fns-1') ?? {}, { idle_timeout: 99, network: true })
  const { stdout } = await deploy(server, dir.path)
  assert.match(stdout, /^Changed:\n {2}idle_timeout: 99 → 30\n {2}network: true → false\n\n/m)
})

test('config and annotations that leave the file are removed, and those set by other means stay', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder(`${YAML}annotations: { team: blue }\n`)
  await deploy(server, dir.path)
  const fn = server.items.fns.get('fns-1')
  Object.assign(fn?.['config'] ?? {}, { SECRET: 'x' })
  Object.assign(fn?.['annotations'] ?? {}, { theirs: 1 })
  await writeFiles(dir.path, { 'cart/func.yaml': YAML.replace('LIMIT: 10', 'GREETING: hello') })
  const { stdout } = await deploy(server, dir.path)
  assert.deepEqual(fn?.['config'], { SECRET: 'x', GREETING: 'hello' })
  assert.deepEqual(fn?.['annotations'], { theirs: 1, 'sluice/func.yaml/1': ['config.GREETING'] })
  for (const line of ['config.GREETING: set', 'config.LIMIT: removed', 'annotations.team: removed'])
    assert.ok(stdout.includes(`\n  ${line}\n`), stdout)
})

test('the values of config are not printed', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await deploy(server, dir.path)
  await writeFiles(dir.path, { 'cart/func.yaml': YAML.replace('LIMIT: 10', 'LIMIT: hush-hush') })
  const { stdout } = await deploy(server, dir.path)
  assert.match(stdout, /^ {2}config\.LIMIT: changed$/m)
  assert.doesNotMatch(stdout, /hush/)
})

test('a trigger that leaves the file is removed, and one made by other means stays', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await deploy(server, dir.path)
  const theirs = { id: 'theirs', name: 'pay', app_id: 'apps-1', fn_id: 'fns-1', type: 'http', source: '/pay' }
  server.items.triggers.set('theirs', theirs)
  await writeFiles(dir.path, { 'cart/func.yaml': YAML.slice(0, YAML.indexOf('triggers:')) })
  const { stdout } = await deploy(server, dir.path)
  assert.deepEqual([...server.items.triggers.keys()], ['theirs'])
  assert.match(stdout, /^trigger +buy +removed +\/buy$/m)
})

test('a trigger that is renamed frees its path before the new one takes it', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await deploy(server, dir.path)
  const before = server.requests.length
  await writeFiles(dir.path, { 'cart/func.yaml': YAML.replace('name: buy', 'name: purchase') })
  await deploy(server, dir.path)
  const changes = server.requests.slice(before).filter(({ method }) => ['POST', 'DELETE'].includes(method))
  assert.deepEqual(
    changes.map(({ method }) => method),
    ['DELETE', 'POST'],
  )
})

test('an image is named instead of uploaded', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder('name: cart\nimage: example/cart:1')
  const { code } = await deploy(server, dir.path)
  assert.equal(code, 0)
  assert.equal(server.items.fns.get('fns-1')?.['image'], 'example/cart:1')
  assert.equal(server.bundles.size, 0)
})

test('--no-create-app with an app that is missing changes nothing', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  const { code, stderr } = await deploy(server, dir.path, '--no-create-app')
  assert.equal(code, 3)
  assert.match(stderr, /^sluice: App not found: no app is named "shop"/)
  assert.deepEqual(new Set(server.requests.map(({ method }) => method)), new Set(['GET']))
})

test('an app that another deploy creates at the same moment is used', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  server.intercept = ({ method, path }) => {
    if (method !== 'POST' || path !== '/v2/apps') return undefined
    server.items.apps.set('theirs', { id: 'theirs', name: 'shop' })
    return [409, { message: 'App already exists' }]
  }
  assert.equal((await deploy(server, dir.path)).code, 0)
  assert.equal(server.items.fns.get('fns-1')?.['app_id'], 'theirs')
})

test('--json tells programs what was done', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  const report = JSON.parse((await deploy(server, dir.path, '--json')).stdout)
  const [digest] = server.bundles.keys()
  assert.equal(report.url, `${server.url}/invoke/fns-1`)
  assert.equal(report.triggers[0].url, `${server.url}/t/shop/buy`)
  assert.equal(report.bundle.digest, digest)
  assert.equal(report.bundle.tar, undefined)
  assert.deepEqual(report.changes, {
    app: 'created',
    function: 'created',
    fields: [
      { name: 'image', change: 'set', to: `bundle@sha256:${digest}` },
      { name: 'memory', change: 'set', to: 256 },
      { name: 'max_concurrency', change: 'set', to: 4 },
      { name: 'config.LIMIT', change: 'set' },
    ],
    triggers: { buy: 'created' },
  })
})

test('a wrong func file is refused before the server is asked', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder('memory: lots')
  const { code, stderr } = await deploy(server, dir.path)
  assert.equal(code, 2)
  assert.equal(
    stderr,
    `sluice: ${dir.path}/cart/func.yaml: memory must be a whole number from 1 to 8192: got "lots"\n`,
  )
  assert.deepEqual(server.requests, [])
})

test('an unknown key is warned about and the rest deployed', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder('name: cart\nmemmory: 1')
  const { code, stderr } = await deploy(server, dir.path)
  assert.equal(code, 0)
  assert.match(stderr, /^warning: .*func\.yaml: unknown key memmory is ignored; did you mean memory\?$/m)
})

test('a folder without a program changes nothing on the server', async () => {
  await using server = await startFnServer()
  await using dir = await tempDir()
  await writeFiles(dir.path, { 'cart/func.yaml': 'name: cart' })
  const { code, stderr } = await deploy(server, dir.path)
  assert.equal(code, 2)
  assert.match(stderr, /^sluice: nothing to run in /)
  assert.deepEqual(server.lines(), ['GET /v2/apps'])
})

test('without a folder the current one is deployed', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  const options = { cwd: `${dir.path}/cart`, env: { FN_API_URL: server.url } }
  assert.equal((await runCli(['deploy', '--app', 'shop'], options)).code, 0)
})

test('a folder without func.yaml is deployed under its own name with defaults, and one line says so', async () => {
  await using server = await startFnServer()
  await using dir = await tempDir()
  await writeFiles(dir.path, { 'cart/func.ts': SOURCE })
  const { code, stderr } = await deploy(server, dir.path)
  assert.equal(code, 0, stderr)
  assert.match(stderr, /^no func\.yaml in cart: the function is named cart and has defaults$/m)
  assert.deepEqual(
    [...server.items.fns.values()].map((fn) => [fn.name, fn['memory']]),
    [['cart', undefined]],
  )
})

test('what is left out is named, and never sent', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await writeFiles(dir.path, { 'cart/.env': 'PASSWORD=hush', 'cart/.gitignore': 'out/', 'cart/out/a': '' })
  const { stderr } = await deploy(server, dir.path)
  assert.match(stderr, /^not sent: \.env, out\/ \("!name" in \.sluiceignore brings one back\)$/m)
  const [tar] = server.bundles.values()
  assert.ok(tar && !tar.includes('hush'))
})

test('a secret that .sluiceignore asks for is sent with a warning', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await writeFiles(dir.path, { 'cart/.env': 'A=1', 'cart/.sluiceignore': '!.env' })
  const { stderr } = await deploy(server, dir.path)
  assert.match(stderr, /^warning: \.env is sent, since \.sluiceignore asks for it$/m)
})

test('--dry-run lists what would be sent and asks no server', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await writeFiles(dir.path, { 'cart/.env': 'A=1' })
  const { code, stdout } = await deploy(server, dir.path, '--dry-run')
  assert.equal(code, 0)
  const lines = [
    '2 files    185 B',
    'func.ts    35 B',
    'func.yaml  150 B',
    '.env       left out: may be a secret',
  ]
  assert.equal(stdout, `${lines.join('\n')}\n`)
  assert.deepEqual(server.lines(), [])
})

test('--verbose lists what is sent', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  assert.match((await deploy(server, dir.path, '--verbose')).stderr, /^func\.ts +35 B$/m)
})

test('a program that git ignores is refused with the line that brings it back', async () => {
  await using server = await startFnServer()
  await using dir = await tempDir()
  const manifest = JSON.stringify({ main: 'dist/func.js' })
  await writeFiles(dir.path, {
    'cart/package.json': manifest,
    'cart/dist/func.js': SOURCE,
    'cart/.gitignore': 'dist/',
  })
  const { code, stderr } = await deploy(server, dir.path)
  assert.equal(code, 2)
  assert.match(stderr, /^sluice: dist\/, which is to run, is left out by \.gitignore: write "!dist\/" into/m)
})

test('a program that cannot run is refused before anything is changed, and sent with --no-check', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await writeFiles(dir.path, { 'cart/func.ts': 'enum A { B }\nexport default () => A.B\n' })
  const options = { cwd: dir.path, env: { FN_API_URL: server.url } }
  const { code, stderr } = await runCli(['deploy', '--app', 'shop', 'cart'], options)
  assert.equal(code, 2)
  assert.match(stderr, /^sluice: func\.ts:1: SyntaxError: TypeScript enum is not supported/)
  assert.deepEqual(server.lines(), ['GET /v2/apps'])
  assert.equal((await deploy(server, dir.path)).code, 0)
})

test('the check sees the config of the app, the function and the file', async () => {
  await using server = await startFnServer()
  await using dir = await makeFolder()
  await deploy(server, dir.path)
  Object.assign(server.items.apps.get('apps-1') ?? {}, { config: { A: '1' } })
  Object.assign(server.items.fns.get('fns-1')?.['config'] ?? {}, { B: '2' })
  const needs = `if (!['A', 'B', 'LIMIT'].every((key) => process.env[key])) throw 1\n${SOURCE}`
  await writeFiles(dir.path, { 'cart/func.ts': needs })
  const options = { cwd: dir.path, env: { FN_API_URL: server.url } }
  const { code, stderr } = await runCli(['deploy', '--app', 'shop', 'cart'], options)
  assert.equal(code, 0, stderr)
})
