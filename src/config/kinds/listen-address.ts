/** Addresses to listen at. */
import { ipv6, port } from '../../core/host.js'
import { textKind } from '../../core/text-kind.js'

/** Where to listen: what `net.Server.listen` takes. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** `listen` of a listener. */
export const listenAddress = textKind<Address>({
  name: 'address',
  pattern: `^(?:unix:(?<path>/.+)|(?:\\[(?<ipv6>${ipv6})\\]|(?<host>[^\\s:/\\[\\]]+)):(?<port>${port}))$`,
  wanted: 'host:port, [IPv6]:port or unix:/path',
  read: (parts) =>
    parts['path'] === undefined
      ? { host: parts['ipv6'] ?? parts['host'] ?? '', port: Number(parts['port']) }
      : { path: parts['path'] },
})
