// Never opens its socket, and never ends.
setInterval(() => {}, 1_000)
