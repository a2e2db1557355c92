// A cold program that hands its input on as it is.
process.stdin.pipe(process.stdout)
