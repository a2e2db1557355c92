import { SluiceError } from '../core/errors.ts'
import { isLoopback } from './listen.ts'

/** @throws SluiceError `forbidden` for a `Host` that this server does not go by */
export type HostCheck = (host: string | undefined) => void

/**
 * Without a token, a name in `Host` is all that tells the owner from a web page in the owner's browser: a page can have
 * its own name point at 127.0.0.1 (DNS rebinding), and then counts as this server's own. So only names that nobody
 * else can point here are answered, and those that the owner has listed. What is no browser may leave `Host` out.
 *
 * @param names besides the loopback ones, in lower case, without ports
 */
export function hostCheck(token: string | undefined, names: readonly string[] = []): HostCheck {
  if (token !== undefined) return () => {}
  return (host) => {
    if (host === undefined) return
    const name = nameOf(host)
    if (name !== undefined && (isLoopback(name) || names.includes(name))) return
    throw new SluiceError('forbidden', undefined, {
      detail: `this server does not go by ${JSON.stringify(host.slice(0, 200))}: name the host in FN_ALLOWED_HOSTS, or set FN_TOKEN`,
    })
  }
}

/** The host of `host`, `host:port` or `[address]:port` in lower case; `undefined` of another form. */
export function nameOf(host: string): string | undefined {
  const [, address, name] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?$/.exec(host) ?? []
  return (address ?? name)?.toLowerCase()
}
