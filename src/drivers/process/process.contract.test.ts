import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after } from 'node:test'
import { tempDir } from '../../../test/support/temp.ts'
import { systemClock } from '../../core/clock.ts'
import { driverContract } from '../driver.contract.ts'
import { processDriver } from './process.ts'

const data = await tempDir()
after(() => data[Symbol.asyncDispose]())

const bootstrap = join(import.meta.dirname, '../../fdk/bootstrap.cjs')
const make = () =>
  processDriver({ dataDir: data.path, node: process.execPath, bootstrap, clock: systemClock })

driverContract('process', make, { left: () => readdir(join(data.path, 'process')) })
