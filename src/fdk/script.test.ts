import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { type BundleOptions, startBundle } from '../../test/support/bundle-process.ts'
import { until } from '../../test/support/until.ts'

const python = spawnSync('python3', ['--version']).status === 0
const needsPython = { skip: python ? false : 'there is no python3 on PATH' }
const inLinux = { skip: existsSync('/proc/self/fd') ? false : 'there is no /proc' }

/** Runs a bundle of these files to its end. */
async function run(
  files: Readonly<Record<string, string>>,
  { input = '', format = 'default', ...options }: Partial<BundleOptions> & { readonly input?: string } = {},
) {
  await using fn = await startBundle(files, { format, ...options })
  fn.child.stdin.end(input)
  const code = await fn.exit
  return { code, stdout: fn.stdout(), stderr: fn.stderr() }
}

test('a shell script gets stdin, arguments and environment, and its exit code counts', async () => {
  const script = 'echo "$(basename "$0") $# $2 $COLOUR"; cat; echo "for the log" >&2; exit 7\n'
  const result = await run(
    { 'func.sh': script },
    { input: 'in', args: ['a', 'b c'], env: { COLOUR: 'teal' } },
  )
  assert.deepEqual(result, { code: 7, stdout: 'func.sh 2 b c teal\nin', stderr: 'for the log\n' })
})

test('a script need not be executable and runs in the folder of the bundle', async () => {
  const { stdout } = await run({ 'func.sh': 'pwd; cat data.txt', 'data.txt': 'kept' })
  assert.match(stdout, /\/fn\nkept$/)
})

test('a script takes the place of the bootstrap', async () => {
  await using fn = await startBundle({ 'func.sh': 'echo $$; read line; echo "$line"' }, { format: 'default' })
  await until('the number of its process', () => fn.stdout().includes('\n'))
  assert.equal(fn.stdout(), `${fn.child.pid}\n`)
  fn.child.stdin.end('over\n')
  assert.equal(await fn.exit, 0)
  assert.equal(fn.stdout(), `${fn.child.pid}\nover\n`)
})

test('a script inherits no descriptors and no ignored signals from Node', inLinux, async () => {
  const script = 'grep SigIgn /proc/self/status; ls -l /proc/$$/fd'
  const bare = spawnSync('sh', ['-c', script], { encoding: 'utf8' }).stdout
  const { stdout } = await run({ 'func.sh': script })
  const ignored = (text: string) => BigInt(`0x${/SigIgn:\s+(\w+)/.exec(text)?.[1]}`)
  const byNode = (1n << 12n) | (1n << 24n) // SIGPIPE, SIGXFSZ
  assert.equal(ignored(stdout) & byNode, ignored(bare) & byNode)
  assert.doesNotMatch(stdout, /anon_inode/)
})

test('a script is ended by the signal that is sent to it', async () => {
  await using fn = await startBundle({ 'func.sh': 'echo up; read line' }, { format: 'default' })
  await until('the script', () => fn.stdout() === 'up\n')
  fn.child.kill('SIGTERM')
  assert.equal(await fn.exit, null)
  assert.equal(fn.child.signalCode, 'SIGTERM')
})

test('a script runs with the formats http and http-stream as well', async () => {
  const http = await run(
    { 'func.sh': 'read line; echo "$line"' },
    { format: 'http', input: 'GET / HTTP/1.1' },
  )
  assert.deepEqual(http, { code: 0, stdout: 'GET / HTTP/1.1\n', stderr: '' })
  const stream = await run({ 'func.sh': 'echo "$FN_LISTENER"' }, { format: 'http-stream' })
  assert.match(stream.stdout, /^unix:\/.*\/lsnr\.sock\n$/)
})

test(
  'a Python program gets stdin, arguments and environment, and its exit code counts',
  needsPython,
  async () => {
    const program = `import os, sys
print(os.path.basename(sys.argv[0]), sys.argv[1:], os.environ['COLOUR'], sys.stdin.read())
sys.exit(7)`
    const result = await run({ 'func.py': program }, { input: 'in', args: ['a'], env: { COLOUR: 'teal' } })
    assert.deepEqual(result, { code: 7, stdout: "func.py ['a'] teal in\n", stderr: '' })
  },
)

test('a Python program without python3 is told so, as a shell would', async () => {
  const result = await run({ 'func.py': '' }, { env: { PATH: '/nowhere:/dev/null' } })
  assert.deepEqual(result, {
    code: 127,
    stdout: '',
    stderr:
      'cannot run func.py: there is no python3 on PATH (/nowhere:/dev/null); ' +
      'the base runtime of bundles has none, the process driver and an image of your own may\n',
  })
})

test('an interpreter that cannot be run is told of, as a shell would', async () => {
  const files = { 'func.py': '', python3: 'no program' }
  await using fn = await startBundle(files, { format: 'default', env: { PATH: '.' } })
  assert.equal(await fn.exit, 126)
  assert.match(fn.stderr(), /^cannot run func\.py: EACCES/)
})

test("where Node's permission model forbids other programs a script is told so", async () => {
  const flags = ['--permission', '--allow-net', '--allow-fs-read=/']
  const result = await run({ 'func.sh': 'echo never' }, { flags })
  assert.deepEqual(result, {
    code: 126,
    stdout: '',
    stderr: 'cannot run func.sh: functions may start no other programs here\n',
  })
})

test('JavaScript goes before a script', async () => {
  const { stdout } = await run({ 'func.sh': 'echo shell', 'func.js': 'console.log("js")' })
  assert.equal(stdout, 'js\n')
})
