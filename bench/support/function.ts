// A function's socket with nothing behind it: answers `POST /call` at once. Argument: the path to listen on.
import { createServer } from 'node:http'

createServer((req, res) => {
  req
    .resume()
    .on('end', () => res.writeHead(200, { 'content-type': 'application/json' }).end('{"message":"Hello"}'))
}).listen(process.argv[2], () => process.send?.({}))
