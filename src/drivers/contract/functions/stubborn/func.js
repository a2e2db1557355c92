// Ignores every polite request to end.
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(name, () => {})
module.exports = () => 'still here'
