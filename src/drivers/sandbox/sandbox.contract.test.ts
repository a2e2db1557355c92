import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { canSandbox } from '../../../test/support/sandbox.ts'
import { buildRigRuntime, saveImage } from '../../../test/support/sandbox-rig.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { systemClock } from '../../core/clock.ts'
import { openImages } from '../archive/archive.ts'
import { driverContract } from '../driver.contract.ts'
import { groupsName, sandboxDriver } from './sandbox.ts'
import { CLAIMS } from './users.ts'

const skip = canSandbox()
if (skip) test('the contract of the sandbox driver', { skip }, () => {})
else await contract()

async function contract() {
  const data = await tempDir()
  after(() => data[Symbol.asyncDispose]())
  const runtime = await buildRigRuntime(data.path)
  const dir = join(data.path, 'images')
  const image = await saveImage(dir)
  const root = join(data.path, 'sandbox')
  const images = openImages({ dir, cache: join(data.path, 'unpacked') })

  driverContract(
    'sandbox',
    () => sandboxDriver({ dataDir: data.path, clock: systemClock, runtime, images }),
    {
      ...(image !== undefined && { image }),
      left: async () => [
        ...list(root),
        ...groupsIn(groupsName(root)),
        ...list(CLAIMS).filter((uid) => ownerOf(uid) === root),
      ],
    },
  )
}

/** Those of containers, in any tree; others' may go away meanwhile. */
function groupsIn(name: string, dir = '/sys/fs/cgroup'): string[] {
  const paths = list(dir).map((entry) => join(dir, entry))
  const folders = paths.filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory())
  return basename(dir) === name ? folders : folders.flatMap((folder) => groupsIn(name, folder))
}

function ownerOf(uid: string): string | undefined {
  try {
    return readlinkSync(join(CLAIMS, uid))
  } catch {
    return undefined
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch {
    return []
  }
}
