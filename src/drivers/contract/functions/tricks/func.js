// Every way to offer something else than a socket of its own.
const { mkdirSync, renameSync, symlinkSync, writeFileSync } = require('node:fs')
const { createServer } = require('node:http')
const { dirname } = require('node:path')

const path = process.env.FN_LISTENER.slice('unix:'.length)
const other = `${dirname(path)}/other`

/** Serves under a name of its own first, and answers with `word` and the body. */
function serve(word, done) {
  const server = createServer(async (req, res) => {
    let body = ''
    for await (const chunk of req) body += chunk
    if (body === 'swap') return serve('swapped', () => res.end('done'))
    if (body === 'close') server.close()
    res.end(`${word} ${body}`)
  })
  server.listen(`${dirname(path)}/${word}`, () => {
    renameSync(`${dirname(path)}/${word}`, path)
    done?.()
  })
}

const tricks = {
  link: () => symlinkSync(process.env.OUTSIDE, path),
  links: () => {
    symlinkSync(process.env.OUTSIDE, other)
    symlinkSync('other', path)
  },
  upwards: () => symlinkSync('../other', path),
  file: () => writeFileSync(path, ''),
  folder: () => mkdirSync(path),
  none: () => serve('original'),
}
tricks[process.env.TRICK]()
setInterval(() => {}, 1_000)
