import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { chmodSync, closeSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { tempDir } from '../../../test/support/temp.ts'
import { ALLOWED_CALLS, DENIED_CALLS, seccompFilter } from './seccomp.ts'

const ALLOW = 0x7fff0000
const KILL = 0x80000000
const EPERM = 0x00050001
const ENOSYS = 0x00050026
const EAFNOSUPPORT = 0x00050061

const ARCHES = [
  {
    arch: 'x64',
    audit: 0xc000003e,
    calls: {
      clone: 56,
      clone3: 435,
      fadvise64: 221,
      fcntl: 72,
      ioctl: 16,
      personality: 135,
      prlimit64: 302,
      setrlimit: 160,
      socket: 41,
      socketpair: 53,
    },
  },
  {
    arch: 'arm64',
    audit: 0xc00000b7,
    calls: {
      clone: 220,
      clone3: 435,
      fadvise64: 223,
      fcntl: 25,
      ioctl: 29,
      personality: 92,
      prlimit64: 261,
      setrlimit: 164,
      socket: 198,
      socketpair: 199,
    },
  },
] as const

interface Call {
  readonly audit: number
  readonly nr: number
  readonly args?: readonly bigint[]
}

/** What the kernel's interpreter answers for one system call, by its rules for these five instructions. */
function interpret(program: Uint8Array, { audit, nr, args = [] }: Call): number {
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, nr, true)
  data.setUint32(4, audit, true)
  for (const [index, arg] of args.entries()) data.setBigUint64(16 + 8 * index, BigInt.asUintN(64, arg), true)
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength)
  let loaded = 0
  for (let at = 0; at < program.byteLength; at += 8) {
    const k = code.getUint32(at + 4, true)
    const go = (taken: boolean) => {
      at += 8 * code.getUint8(at + (taken ? 2 : 3))
    }
    const opcode = code.getUint16(at, true)
    if (opcode === 0x06) return k
    if (opcode === 0x20) loaded = data.getUint32(k, true)
    else if (opcode === 0x15) go(loaded === k)
    else if (opcode === 0x25) go(loaded > k)
    else if (opcode === 0x35) go(loaded >= k)
    else if (opcode === 0x45) go((loaded & k) !== 0)
    else throw new Error(`no such instruction: ${opcode}`)
  }
  throw new Error('the program has no end')
}

for (const { arch, audit, calls } of ARCHES)
  describe(`the filter for ${arch}`, () => {
    const program = seccompFilter(arch) as Uint8Array
    const answer = (nr: number, ...args: bigint[]) => interpret(program, { audit, nr, args })
    const allowed = new Set(Object.values(ALLOWED_CALLS[arch]))
    const denied = new Set(Object.values(DENIED_CALLS[arch]))
    const conditional = new Set<number>(Object.values(calls))

    test('every number below 1024 gets the answer of its list', () => {
      for (let nr = 0; nr < 1024; nr++)
        if (!conditional.has(nr)) {
          const expected = allowed.has(nr) ? ALLOW : denied.has(nr) ? EPERM : ENOSYS
          assert.equal(answer(nr), expected, `call ${nr}`)
        }
    })

    test('no call is in two lists', () => {
      const all = [
        ...Object.values(ALLOWED_CALLS[arch]),
        ...Object.values(DENIED_CALLS[arch]),
        ...conditional,
      ]
      assert.equal(new Set(all).size, all.length)
    })

    test('numbers that no kernel has are not allowed', () => {
      fc.assert(
        fc.property(fc.integer({ min: 1024, max: 0xffffffff }), (nr) => {
          assert.equal(answer(nr), arch === 'x64' && nr >= 0x40000000 ? EPERM : ENOSYS)
        }),
      )
    })

    test('another architecture is killed, whatever it calls', () => {
      const other = fc.integer({ min: 0, max: 0xffffffff }).filter((value) => value !== audit)
      fc.assert(
        fc.property(other, fc.nat(1024), (audit, nr) => {
          assert.equal(interpret(program, { audit, nr }), KILL)
        }),
      )
    })

    test('clone is allowed without namespaces, and with any it is not', () => {
      const THREAD = 0x3d0f00n
      assert.equal(answer(calls.clone, THREAD), ALLOW)
      assert.equal(answer(calls.clone, 17n), ALLOW)
      for (const flag of [0x20000n, ...[25n, 26n, 27n, 28n, 29n, 30n].map((bit) => 1n << bit)])
        assert.equal(answer(calls.clone, THREAD | flag), EPERM, flag.toString(16))
    })

    test('files are locked and read ahead, but not thrown out of everybody’s memory, and not watched', () => {
      for (const advice of [0n, 1n, 2n, 3n, 5n])
        assert.equal(answer(calls.fadvise64, 3n, 0n, 0n, advice), ALLOW)
      for (const advice of [4n, 0x1_0000_0004n])
        assert.equal(answer(calls.fadvise64, 3n, 0n, 0n, advice), EPERM)
      const [F_SETLK, F_GETLK, F_OFD_SETLK, F_NOTIFY] = [6n, 5n, 37n, 1026n]
      for (const command of [F_SETLK, F_GETLK, F_OFD_SETLK])
        assert.equal(answer(calls.fcntl, 3n, command), ALLOW)
      assert.equal(answer(calls.fcntl, 3n, F_NOTIFY), EPERM)
      for (const watch of arch === 'x64' ? [253, 254, 294] : [26, 27]) assert.equal(answer(watch), ENOSYS)
    })

    test('limits can be lowered and read, but the size of core files stays as it is', () => {
      const [CORE, FILES] = [4n, 7n]
      for (const pointer of [1n, 0x7fff_0000_1000n, 0x1_0000_0000n]) {
        assert.equal(answer(calls.prlimit64, 0n, CORE, pointer), EPERM)
        assert.equal(answer(calls.prlimit64, 0n, FILES, pointer), ALLOW)
      }
      assert.equal(answer(calls.prlimit64, 0n, CORE, 0n, 0x7fff_0000_1000n), ALLOW)
      assert.deepEqual(
        [CORE, FILES].map((limit) => answer(calls.setrlimit, limit)),
        [EPERM, ALLOW],
      )
    })

    test('clone3 is answered as by a kernel that has none', () => {
      assert.equal(answer(calls.clone3, 0n, 88n), ENOSYS)
    })

    test('ioctl types nothing into a terminal, also with bits that the kernel ignores', () => {
      for (const request of [0x5412n, 0x541cn, 0x1_0000_5412n, 0xffff_ffff_0000_541cn])
        assert.equal(answer(calls.ioctl, 0n, request), EPERM)
      for (const request of [0x5401n, 0x5413n, 0x541bn, 0x5421n])
        assert.equal(answer(calls.ioctl, 0n, request), ALLOW)
    })

    test('personality can be asked for and not changed', () => {
      assert.deepEqual(
        [0n, 0xffffffffn, -1n, 0x40000n, 8n].map((value) => answer(calls.personality, value)),
        [ALLOW, ALLOW, ALLOW, EPERM, EPERM],
      )
    })

    test('sockets are unix, internet and the list of interfaces', () => {
      for (let family = 0; family < 64; family++)
        for (const protocol of [0n, 9n, 12n]) {
          const expected =
            [1, 2, 10].includes(family) || (family === 16 && protocol === 0n) ? ALLOW : EAFNOSUPPORT
          assert.equal(answer(calls.socket, BigInt(family), 1n, protocol), expected, `family ${family}`)
        }
    })

    test('pairs of sockets are unix only', () => {
      assert.equal(answer(calls.socketpair, 1n), ALLOW)
      for (const family of [2n, 16n, 30n]) assert.equal(answer(calls.socketpair, family), EAFNOSUPPORT)
    })

    test('it is short enough for the kernel', () => {
      assert.ok(program.byteLength % 8 === 0 && program.byteLength / 8 <= 4096)
    })
  })

test('there is no filter for an architecture without a table', () => {
  assert.equal(seccompFilter('riscv64'), undefined)
})

/** What a machine lacks; `undefined` when it has all. In CI nothing may be missing. */
function lacking(t: TestContext, programs: readonly string[]): boolean {
  const missing = [
    ...programs
      .filter((program) => spawnSync('which', [program]).status !== 0)
      .map((name) => `install ${name}`),
    ...(process.getuid?.() === 0 ? [] : ['run as root']),
    ...(seccompFilter(process.arch) ? [] : [`no table for ${process.arch}`]),
  ]
  if (missing.length === 0) return false
  if (process.env['CI']) assert.fail(missing.join(', '))
  t.skip(missing.join(', '))
  return true
}

interface Run {
  readonly argv: readonly string[]
  readonly filtered: boolean
  readonly bind?: string
}

/** Runs a program of this machine in bubblewrap, as the sandbox driver does: as an unprivileged user. */
async function run({ argv, filtered, bind }: Run): Promise<SpawnSyncReturns<string>> {
  await using dir = await tempDir()
  const file = join(dir.path, 'filter')
  writeFileSync(file, seccompFilter(process.arch) as Uint8Array)
  const fd = openSync(file, 'r')
  try {
    const args = [
      '--unshare-all',
      '--die-with-parent',
      '--ro-bind',
      '/',
      '/',
      '--proc',
      '/proc',
      '--dev',
      '/dev',
    ]
    const extra = [...(bind ? ['--ro-bind', bind, '/mnt'] : []), ...(filtered ? ['--seccomp', '3'] : [])]
    return spawnSync('bwrap', [...args, '--tmpfs', '/tmp', ...extra, '--cap-drop', 'ALL', '--', ...argv], {
      uid: 20_999,
      gid: 20_999,
      stdio: ['ignore', 'pipe', 'pipe', fd],
      encoding: 'utf8',
      timeout: 30_000,
    })
  } finally {
    closeSync(fd)
  }
}

/** Threads, timers, a child, files, sockets, compression and the list of interfaces. */
const NODE_PROGRAM = `
const { execFileSync } = require('node:child_process'), fs = require('node:fs'), net = require('node:net')
const { Worker } = require('node:worker_threads'), zlib = require('node:zlib')
fs.writeFileSync('/tmp/x', 'x'); fs.copyFileSync('/tmp/x', '/tmp/y'); fs.symlinkSync('y', '/tmp/z')
require('node:os').networkInterfaces()
execFileSync('/bin/sh', ['-c', 'true | cat'])
zlib.gzip('x', () => {})
const server = net.createServer((socket) => socket.end('hi')).listen('/tmp/s', () =>
  net.connect('/tmp/s').on('data', () => {
    server.close()
    new Worker('setTimeout(() => {}, 1)', { eval: true }).on('exit', (code) => console.log('done', code))
  }))`

describe('the filter at work', () => {
  test('Node runs under it: threads, children, files, sockets', async (t) => {
    if (lacking(t, ['bwrap'])) return
    const node = reachable(process.execPath)
    const { stdout, stderr } = await run({
      argv: [node.inside, '-e', NODE_PROGRAM],
      filtered: true,
      bind: node.dir,
    })
    assert.deepEqual([stdout, stderr], ['done 0\n', ''])
  })

  test('busybox runs under it', async (t) => {
    if (lacking(t, ['bwrap', 'busybox'])) return
    const script = 'busybox ls / | busybox wc -l && busybox mkfifo /tmp/f && busybox date +%s && busybox ps'
    const { status, stderr } = await run({ argv: ['busybox', 'sh', '-c', script], filtered: true })
    assert.deepEqual([status, stderr], [0, ''])
  })

  test('Python runs under it', async (t) => {
    if (lacking(t, ['bwrap', 'python3'])) return
    const script =
      'import subprocess,threading,tempfile,ssl,json,asyncio,multiprocessing as m\n' +
      't=threading.Thread(target=lambda:None);t.start();t.join()\n' +
      'asyncio.run(asyncio.sleep(0));p=m.Process(target=print,args=("child",));p.start();p.join()\n' +
      'print(subprocess.check_output(["true"]),tempfile.mkdtemp()!="",p.exitcode)'
    const { stdout, stderr } = await run({ argv: ['python3', '-c', script], filtered: true })
    assert.deepEqual([stdout, stderr], ["child\nb'' True 0\n", ''])
  })

  test('a namespace can be made without it and not with it', async (t) => {
    if (lacking(t, ['bwrap', 'unshare'])) return
    const argv = ['unshare', '-U', 'true']
    const [without, under] = [await run({ argv, filtered: false }), await run({ argv, filtered: true })]
    assert.deepEqual([without.status, under.status], [0, 1])
    assert.match(under.stderr, /Operation not permitted/)
  })

  test('every denied call answers EPERM to a C program', async (t) => {
    if (lacking(t, ['bwrap', 'gcc'])) return
    await using dir = await tempDir()
    const calls = Object.entries(DENIED_CALLS[process.arch as 'x64' | 'arm64'])
    const program = await compile(dir.path, calls)
    const { stdout } = await run({ argv: [program], filtered: true, bind: dir.path })
    // The kernel itself denies some of them to a user without rights, but by far not all.
    const control = await run({ argv: [program], filtered: false, bind: dir.path })
    assert.ok((control.stdout.match(/ (?!1\n)\d+\n/g)?.length ?? 0) > 20, control.stdout)
    assert.equal(
      stdout,
      [...calls.map(([name]) => `${name} 1`), 'clone3 38', 'newer 38', 'x32 1', ''].join('\n'),
    )
  })
})

/** Where bubblewrap's user can read Node, whose folder may be closed to others. */
function reachable(path: string): { inside: string; dir: string } {
  const dir = join(path, '..')
  return { inside: join('/mnt', path.slice(dir.length + 1)), dir }
}

async function compile(dir: string, calls: readonly (readonly [string, number])[]): Promise<string> {
  const attempt = (name: string, nr: number) =>
    `errno = 0; syscall(${nr}L, -1L, -1L, -1L, -1L, -1L, -1L); printf("%s %d\\n", "${name}", errno);`
  const x32 = process.arch === 'x64' ? attempt('x32', 0x40000000 + 39) : 'printf("x32 1\\n");'
  const body = [
    ...calls.map(([name, nr]) => attempt(name, nr)),
    attempt('clone3', 435),
    attempt('newer', 999),
    x32,
  ]
  writeFileSync(
    join(dir, 'calls.c'),
    `#include <errno.h>\n#include <stdio.h>\n#include <unistd.h>\nint main(void) {\n${body.join('\n')}\n}\n`,
  )
  const { status, stderr } = spawnSync(
    'gcc',
    ['-static', '-o', join(dir, 'calls'), '-D_GNU_SOURCE', join(dir, 'calls.c')],
    { encoding: 'utf8' },
  )
  assert.equal(status, 0, stderr)
  chmodSync(dir, 0o755)
  assert.ok(existsSync(join(dir, 'calls')))
  return '/mnt/calls'
}
