import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Docker } from '../../test/support/docker-client.ts'
import type { Program } from './programs.ts'
import { firstAnswer } from './socket.ts'
import type { Started } from './starts.ts'

const MIB = 1024 * 1024

/** The engine's own calls, one after the other, with the settings of the Docker driver and nothing else of it. */
export function bareEngine(socketPath: string, image: string): (program: Program) => Promise<Started> {
  const engine = new Docker(`unix://${socketPath}`)
  return async (program) => {
    const began = performance.now()
    const dir = await mkdtemp(join(tmpdir(), 'sle-'))
    await chmod(dir, 0o777)
    const id = await engine.create({
      Image: image,
      Entrypoint: program.file
        ? [`./${program.file}`]
        : [
            '/bin/node',
            '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON',
            '/sluice/fdk/bootstrap.cjs',
            '/function',
          ],
      Cmd: [],
      WorkingDir: '/function',
      User: '1000:1000',
      Env: ['FN_LISTENER=unix:/tmp/iofs/lsnr.sock', 'FN_FORMAT=http-stream', 'HOME=/tmp'],
      HostConfig: {
        NetworkMode: 'none',
        ReadonlyRootfs: true,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        PidsLimit: 256,
        Memory: 128 * MIB,
        MemorySwap: 128 * MIB,
        LogConfig: { Type: 'none', Config: {} },
        Tmpfs: { '/tmp': `rw,nosuid,nodev,mode=1777,size=${64 * MIB}` },
        Binds: [`${program.dir}:/function:ro`, `${dir}:/tmp/iofs`],
      },
    })
    const output = await engine.attach(id)
    output.resume()
    await engine.start(id)
    await firstAnswer(join(dir, 'lsnr.sock'))
    return {
      took: performance.now() - began,
      socket: join(dir, 'lsnr.sock'),
      async [Symbol.asyncDispose]() {
        await engine.remove(id)
        await rm(dir, { recursive: true, force: true })
      },
    }
  }
}
