/** Where an upstream is: its `url`, taken apart once for everyone who connects to it. */
import { hintAtAscii, httpOrigin, parseUrl, serverNameOf, withoutBrackets } from './host.js'
import { textKind } from './text-kind.js'

/** A host and port. */
export interface TcpAddress {
  readonly kind: 'tcp'
  /** The origin, without a slash at its end. */
  readonly url: string
  readonly tls: boolean
  /** A name or an IP address, without brackets. */
  readonly host: string
  readonly port: number
  /** What TLS asks for; empty text for an IP address (RFC 6066 §3). */
  readonly serverName: string
}

/** A Unix socket. */
export interface UnixAddress {
  readonly kind: 'unix'
  /** As in the configuration: `unix:/path`. */
  readonly url: string
  readonly path: string
}

/** Where an upstream is. */
export type UpstreamAddress = TcpAddress | UnixAddress

function toTcp(text: string): TcpAddress | undefined {
  const url = parseUrl(text)
  if (url === undefined) return undefined
  const tls = url.protocol === 'https:'
  const host = withoutBrackets(url.hostname)
  return {
    kind: 'tcp',
    url: url.origin,
    tls,
    host,
    port: url.port === '' ? (tls ? 443 : 80) : Number(url.port),
    serverName: serverNameOf(host),
  }
}

/** The `url` of an upstream. */
export const upstreamAddress = textKind<UpstreamAddress>({
  name: 'address',
  pattern: `^(?:(?<origin>${httpOrigin})/?|unix:(?<path>/.+))$`,
  wanted: 'an origin such as http://127.0.0.1:8000, without path, or unix:/path',
  hint(text) {
    if (/^https?:\/\/[^/]*@/.test(text)) return 'an origin without user name'
    const origin = new RegExp(`^${httpOrigin}(?=[/?#])`, 'u').exec(text)?.[0]
    return origin === undefined
      ? hintAtAscii(text)
      : `an origin without path (the base path goes on unchanged): ${origin}`
  },
  read: ({ origin, path = '' }) =>
    origin === undefined ? { kind: 'unix', url: `unix:${path}`, path } : toTcp(origin),
})
