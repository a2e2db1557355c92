import assert from 'node:assert/strict'
import { after, before, describe } from 'node:test'
import { boundaryContract } from './contract/boundaries.ts'
import { coldContract } from './contract/cold.ts'
import { hotContract } from './contract/hot.ts'
import { imageContract } from './contract/images.ts'
import { closingContract, lifeContract } from './contract/life.ts'
import { limitsContract } from './contract/limits.ts'
import { optionsContract } from './contract/options.ts'
import { rigOf } from './contract/rig.ts'
import { startContract } from './contract/starts.ts'
import { statsContract } from './contract/stats.ts'
import { descriptors, descriptorsSince } from './contract/support.ts'
import type { Driver } from './driver.ts'

export interface DriverContractOptions {
  /** It runs the code that it is given. @default true */
  readonly runsCode?: boolean
  /** A reference to an image that is as `CONTRACT_IMAGE` says. @default none: images are not tried */
  readonly image?: string
  /** What it left on the machine: folders, containers of its engine. Asked before it is closed, when all has ended, and after. */
  readonly left?: () => Promise<readonly string[]>
}

/**
 * What every driver promises, as tests of `node:test`. What a driver does not state in its capabilities is skipped by
 * name; what it states must hold. Its clock has to be the system's, and it has to run bundles in hot containers.
 */
export function driverContract(
  name: string,
  make: () => Promise<Driver>,
  { runsCode = true, image, left = async () => [] }: DriverContractOptions = {},
): void {
  let driver: Driver
  const rig = rigOf({ driver: () => driver, runsCode, image })

  describe(`driver: ${name}`, () => {
    let held: string[]
    before(async () => {
      held = descriptors()
      driver = await make()
    })
    after(async () => {
      await driver[Symbol.asyncDispose]()
      assert.deepEqual(await left(), [], 'left by a closed driver')
      assert.deepEqual(descriptorsSince(held), [], 'descriptors left by a closed driver')
    })

    describe('hot', () => hotContract(rig))
    describe('starts', () => startContract(rig))
    describe('cold', () => coldContract(rig))
    describe('life', () => lifeContract(rig))
    describe('limits', () => limitsContract(rig))
    describe('boundaries', () => boundaryContract(rig))
    describe('options', () => optionsContract(rig))
    describe('stats', () => statsContract(rig))
    describe('images', () => imageContract(rig))
    describe('end', () => {
      before(async () => assert.deepEqual(await left(), [], 'left by closed cookies'))
      closingContract(rig)
    })
  })
}
