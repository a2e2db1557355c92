// Writes as much as it is told, as fast as it is read.
const { once } = require('node:events')

const chunk = Buffer.alloc(256 * 1024, '.')

async function flood(bytes) {
  for (let left = bytes; left > 0; left -= chunk.length)
    if (!process.stdout.write(chunk)) await once(process.stdout, 'drain')
}

flood(Number(process.env.BYTES))
