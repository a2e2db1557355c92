// A program that speaks the container contract itself, as one on a foreign FDK does: binds, then links or renames.
const { chmodSync, renameSync } = require('node:fs')
const { createServer } = require('node:http')

const path = process.env.FN_LISTENER.slice('unix:'.length)
const server = createServer((req, res) => req.pipe(res))
server.listen(`${path}.tmp`, () => {
  chmodSync(`${path}.tmp`, 0o666)
  renameSync(`${path}.tmp`, path)
})
