import { after, test } from 'node:test'
import { engineRig } from '../../../test/support/docker-rig.ts'
import { testEngine } from '../../../test/support/engine.ts'
import { driverContract } from '../driver.contract.ts'

const { host, skip } = testEngine('docker')

if (skip) test('driver: docker', { skip }, () => {})
else {
  const rig = await engineRig(host)
  after(() => rig[Symbol.asyncDispose]())
  const image = await rig.makeImage(`localhost/docker-contract-${process.pid}`)
  // Without holders: what is left is then what was forgotten.
  driverContract('docker', () => rig.open({ holders: 0 }), { image, left: () => rig.left() })
}
