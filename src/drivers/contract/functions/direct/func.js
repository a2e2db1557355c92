// Binds the announced name itself, which is legal: it can be seen a moment before anybody listens.
require('node:http')
  .createServer((req, res) => req.pipe(res))
  .listen(process.env.FN_LISTENER.slice('unix:'.length))
