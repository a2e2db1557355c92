console.log('some last words')
console.error('and some more')
process.exitCode = Number(process.env.CODE)
