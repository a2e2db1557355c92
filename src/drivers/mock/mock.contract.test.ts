import { systemClock } from '../../core/clock.ts'
import { seededRandom } from '../../core/random.ts'
import { driverContract } from '../driver.contract.ts'
import { mockDriver } from './mock.ts'

driverContract('mock', async () => mockDriver({ clock: systemClock, random: seededRandom(1) }), {
  runsCode: false,
})
