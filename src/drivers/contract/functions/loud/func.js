const size = 1024 * 1024
const write = (stream, letter) => new Promise((resolve) => stream.write(letter.repeat(size), resolve))

module.exports = async () => {
  await Promise.all([write(process.stdout, 'o'), write(process.stderr, 'e')])
}
