import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import { readNames } from './nameservers.ts'

test('servers on the machine’s loopback are passed over for those that they ask themselves', async () => {
  await using temp = await tempDir()
  const [stub, behind] = [join(temp.path, 'stub'), join(temp.path, 'behind')]
  await writeFile(stub, 'nameserver 127.0.0.53\nsearch a.example\n')
  await writeFile(behind, '# of the router\nnameserver 192.168.1.1\nnameserver fe80::1\nsearch b.example\n')
  assert.deepEqual(readNames([stub, behind]), {
    servers: ['192.168.1.1'],
    text: 'search b.example\nnameserver 192.168.1.1\n',
  })
  assert.deepEqual(readNames([stub, join(temp.path, 'none')]), { servers: [], text: '' })
})
