const size = 1024 * 1024
const write = (stream, letter) => new Promise((resolve) => stream.write(letter.repeat(size), resolve))
const writeBoth = async () => {
  await Promise.all([write(process.stdout, 'o'), write(process.stderr, 'e')])
}

// Without a socket its stdout is its answer, and a handler's would not be its own.
if (process.env.FN_LISTENER) module.exports = writeBoth
else writeBoth()
