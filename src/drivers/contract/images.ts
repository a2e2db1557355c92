import assert from 'node:assert/strict'
import { DriverError } from '../driver.ts'
import { cold, image, type Need, type Rig } from './rig.ts'
import { complete, never, specOf } from './support.ts'

/** What the image of these tests is: a static busybox as `/bin/sh`, FROM scratch, with this configuration. */
export const CONTRACT_IMAGE = {
  Entrypoint: ['/bin/sh', '-c'],
  Cmd: ['read line; echo "$line from $COLOUR in $PWD"'],
  Env: ['PATH=/bin', 'COLOUR=teal'],
  WorkingDir: '/srv',
} as const

/** Images, where the driver runs them and was given one. */
export function imageContract(rig: Rig): void {
  const { it, start } = rig
  const specOfImage = (changes = {}) =>
    specOf('same', { mode: 'cold', source: { kind: 'image', ref: rig.image as string }, ...changes })

  it('image: its entry, environment and folder are used', [cold, image], async () => {
    const { result, stdout } = await complete(await start(specOfImage()), 'hello\n')
    assert.equal(stdout, 'hello from teal in /srv\n')
    assert.deepEqual([result.status, result.exitCode], ['success', 0])
  })

  it('image: a command takes the place of its entry and arguments', [cold, image], async () => {
    const command = ['/bin/sh', '-c', 'echo "$0 $COLOUR $PWD"; exit 3', 'mine']
    const { result, stdout } = await complete(
      await start(specOfImage({ command, env: { COLOUR: 'red' }, workDir: '/tmp' })),
    )
    assert.equal(stdout, 'mine red /tmp\n')
    assert.deepEqual([result.status, result.exitCode], ['error', 3])
  })

  it('image: a program that is not there ends with 127, as in a shell', [cold, image], async () => {
    const { result } = await complete(await start(specOfImage({ command: ['/no-such-program'] })))
    assert.deepEqual([result.status, result.exitCode], ['error', 127])
  })

  it('image: one that nobody has is told to its owner', [realImages], async () => {
    const ref = 'localhost:1/sluice-contract/no-such-image:1'
    const source = { kind: 'image', ref } as const
    await assert.rejects(rig.driver.prepare(specOf('same', { mode: 'cold', source }), never), (error) => {
      assert.ok(error instanceof DriverError, String(error))
      assert.ok(['image-missing', 'pull-failed', 'image-denied'].includes(error.fault), error.fault)
      assert.equal(error.userVisible, true)
      assert.match(error.message, /no-such-image/)
      return true
    })
  })
}

const realImages: Need = ({ runs }, { runsCode }) =>
  !runs.includes('image') ? 'runs no images' : runsCode ? undefined : 'runs no code'
