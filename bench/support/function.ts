// A function's socket with nothing behind it: answers `POST /call` at once. Arguments: the path to listen on; `proves` as
// the bootstrap does, so that a node keeps its connections.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const [, , socket, way] = process.argv
if (way === 'proves') createRequire(import.meta.url)('../../src/fdk/turn.cjs').answerInTurn()

createServer((req, res) => {
  req
    .resume()
    .on('end', () => res.writeHead(200, { 'content-type': 'application/json' }).end('{"message":"Hello"}'))
}).listen(socket, () => process.send?.({}))
