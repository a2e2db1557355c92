// The baseline: `node:http` in front of undici, and nothing else. Argument: `unix:PATH` or a URL to pass everything to.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'

const target = process.argv[2] as string
const socketPath = target.startsWith('unix:') ? target.slice('unix:'.length) : undefined
const pool = socketPath
  ? new Pool('http://localhost', { connections: 64, connect: { socketPath } })
  : new Pool(target, { connections: 64 })

const server = createServer((req, res) => {
  pool.dispatch(
    { path: socketPath ? '/call' : (req.url as string), method: 'POST', headers: req.headers, body: req },
    {
      onRequestStart() {},
      onResponseStart(_controller, status, headers) {
        res.writeHead(status, headers)
      },
      onResponseData(_controller, chunk) {
        res.write(chunk)
      },
      onResponseEnd() {
        res.end()
      },
      onResponseError() {
        res.destroy()
      },
    },
  )
})
server.listen(0, '127.0.0.1', () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
)
