// Says that it goes on, all the time.
setInterval(() => process.stdout.write('.'), 5)
module.exports = () => 'still here'
