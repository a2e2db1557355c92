// A cold program: stdin → stdout.
process.stdin.on('data', (chunk) => process.stdout.write(chunk.toString().toUpperCase()))
