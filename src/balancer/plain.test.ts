import { forwarderContract } from './forwarder.contract.ts'
import { plainForwarder } from './plain.ts'

forwarderContract('plain', (timeouts) => plainForwarder(timeouts))
