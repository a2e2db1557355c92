/**
 * A hot function of 2017: reads HTTP requests from stdin and writes one answer each to stdout, without an FDK.
 * An answer is the lines of the request's head as JSON, a line end, and the request's body.
 */
let held = Buffer.alloc(0)

process.stdin.on('data', (chunk) => {
  held = Buffer.concat([held, chunk])
  for (let end = held.indexOf('\r\n\r\n'); end >= 0; end = held.indexOf('\r\n\r\n')) {
    const head = held.toString('latin1', 0, end)
    const start = end + 4
    const length = Number(/^Content-Length: (\d+)$/m.exec(head)[1])
    if (held.length < start + length) return
    answer(head, held.subarray(start, start + length))
    held = held.subarray(start + length)
  }
})

function answer(head, body) {
  const text = Buffer.concat([Buffer.from(`${JSON.stringify(head.split('\r\n'))}\n`), body])
  process.stdout.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n`)
  process.stdout.write(text)
}
