import { httpClients } from './http-client.ts'
import { plainForwarder } from './plain.ts'
import { trafficContract } from './traffic.contract.ts'

trafficContract('node:http and the plain forwarder', () => ({
  clients: httpClients,
  forwarder: plainForwarder(),
}))
