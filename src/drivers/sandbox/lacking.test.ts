import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { canSandbox } from '../../../test/support/sandbox.ts'
import { sandboxSuite } from '../../../test/support/sandbox-suite.ts'
import { call, never, processesLeft, specOf } from '../contract/support.ts'
import type { Driver } from '../driver.ts'
import { findUplink } from './uplink.ts'

const onlyRoot = process.getuid?.() === 0 ? false : 'run as root'

describe('a sandbox on a machine that lacks', { skip: canSandbox() }, () => {
  const suite = sandboxSuite()
  const { folderOf, open, shell } = suite

  test('bubblewrap it does not start, and says what to install', async () => {
    const none = open({}, { findBubblewrap: () => undefined })
    await assert.rejects(none, { fault: 'unavailable', message: /needs bubblewrap/ })
  })

  test('user namespaces it does not start, and says what bubblewrap says', async () => {
    const fake = join(suite.dataDir, 'bwrap')
    await writeFile(fake, '#!/bin/sh\necho "bwrap: No permissions to create new namespace" >&2\nexit 1\n', {
      mode: 0o755,
    })
    const none = open({ dataDir: await folderOf('other') }, { findBubblewrap: () => fake })
    await assert.rejects(none, {
      fault: 'unavailable',
      message: /here: No permissions to create new namespace$/,
    })
  })

  test('users for containers it does not start', { skip: onlyRoot }, async () => {
    const none = open({ dataDir: await folderOf('other'), uids: { first: 0, count: 10 } })
    await assert.rejects(none, { fault: 'unavailable', message: /without root/ })
  })

  test('a way to its folder it does not start, and names what is in the way', {
    skip: onlyRoot,
  }, async () => {
    const closed = await folderOf('closed')
    await chmod(closed, 0o700)
    const none = open({ dataDir: join(closed, 'data') })
    await assert.rejects(none, (error: Error) => error.message.includes(`pass through ${closed}:`))
  })

  test('what a network of its own takes, a function that asks for one is refused, and why', async () => {
    const findUplink = () => ({ missing: 'install slirp4netns' })
    await using other = await open({ dataDir: await folderOf('other') }, { findUplink })
    assert.deepEqual(other.capabilities.networks, ['none', 'host'])
    assert.match(other.capabilities.warnings.join(), /no network here.*: install slirp4netns\./)
    await assert.rejects(other.prepare(shell('true', { network: 'outbound' }), never), {
      fault: 'unsupported',
      message: 'the sandbox driver gives no network here: install slirp4netns',
    })
  })

  test('a device for networks it says what the uplink says', { skip: onlyRoot }, async () => {
    const fake = join(suite.dataDir, 'slirp4netns')
    await writeFile(fake, '#!/bin/sh\necho "open(/dev/net/tun): No such device" >&2\nexit 1\n', {
      mode: 0o755,
    })
    const tools = findUplink()
    if ('missing' in tools) throw new Error(tools.missing)
    const options = { dataDir: await folderOf('other') }
    await using other = await open(options, { findUplink: () => ({ ...tools, slirp: fake }) })
    await assert.rejects(other.prepare(shell('true', { network: 'outbound' }), never), {
      fault: 'unsupported',
      message: /network of its own: open\(\/dev\/net\/tun\): No such device$/,
    })
  })

  test('a filter for its processor it says so', async () => {
    await using other = await open({ dataDir: await folderOf('other') }, { seccompFilter: () => undefined })
    assert.equal(other.capabilities.isolates.includes('calls'), false)
    assert.match(other.capabilities.warnings.join(), /no filter of system calls/)
  })

  describe('control groups', () => {
    let other: Driver
    beforeEach(async () => {
      other = await open({ dataDir: await folderOf('other') }, { openCgroups: async () => undefined })
    })
    afterEach(() => other[Symbol.asyncDispose]())

    test('it says what that means', () => {
      const { limits, pause, measures, options, warnings } = other.capabilities
      assert.deepEqual([limits, pause, measures, options.includes('cpuShares')], [['disk'], false, [], false])
      assert.match(
        warnings.join(),
        /memory is not limited.*CPU time is not limited.*processes is not limited/,
      )
    })

    test('a call is answered, and the end takes everything along', async () => {
      await using cookie = await other.prepare(specOf('stubborn'), never)
      const container = await cookie.run(never)
      assert.equal((await call(container)).body, 'still here')
      assert.equal((await container.stop('timeout')).status, 'timeout')
      assert.deepEqual(processesLeft(), [])
    })

    test('one cannot be paused, and has no samples', async () => {
      await using cookie = await other.prepare(specOf('echo'), never)
      const container = await cookie.run(never)
      await assert.rejects(container.pause(never), { fault: 'unsupported' })
      for await (const _ of container.stats(never)) assert.fail('a sample')
    })
  })
})
