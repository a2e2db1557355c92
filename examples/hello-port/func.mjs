/** A web server as it would run anywhere: it listens on PORT. With Express it would be `app.listen(process.env.PORT)`. */
import { createServer } from 'node:http'

let visits = 0

const routes = {
  async '/hello-port'(req, res) {
    visits++
    const text = Buffer.concat(await req.toArray()).toString()
    const { name = 'world' } = text ? JSON.parse(text) : {}
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify({ message: `Hello, ${name}!` }))
  },
  '/hello-port/visits'(_req, res) {
    res.end(`${visits}\n`)
  },
}

const server = createServer((req, res) => {
  const { pathname } = new URL(req.url, 'http://localhost')
  const path = pathname === '/' ? '/hello-port' : pathname.replace(/^\/t\/[^/]+/, '') // `sluice invoke` calls `/`
  if (Object.hasOwn(routes, path)) return routes[path](req, res)
  res.statusCode = 404
  res.end('not found\n')
})
server.listen(process.env.PORT)
