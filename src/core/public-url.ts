/** The address that browsers see: `server.publicUrl`, taken apart once. */
import { hintAtAscii, httpOrigin, parseUrl } from './host.js'
import { textKind } from './text-kind.js'

/** The gateway's own address and its parts. */
export interface PublicUrl {
  /** The whole address without a slash at its end. */
  readonly url: string
  readonly origin: string
  /** As it stands in `Host`: without the port that the scheme has anyway. */
  readonly host: string
  readonly hostname: string
  /** The base path, empty text for none. */
  readonly base: string
  readonly secure: boolean
}

/** Segments that every parser reads alike: no dots alone, no escapes, no empty ones. */
const basePath = '(?:/(?!\\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*'

/** `server.publicUrl`. */
export const publicUrl = textKind<PublicUrl>({
  name: 'address',
  pattern: `^(?<origin>${httpOrigin})(?<base>${basePath})/?$`,
  wanted: 'an address such as https://trac.example.edu/trac',
  hint(text) {
    if (/^https?:.*[?#]/.test(text)) return 'an address without query or fragment (no ? and no #)'
    if (/^https?:\/\/[^/]*@/.test(text)) return 'an address without user name'
    const hasOrigin = new RegExp(`^${httpOrigin}/`, 'u').test(text)
    return hasOrigin ? 'a base path of plain segments, such as /trac' : hintAtAscii(text)
  },
  read: ({ origin: written = '', base = '' }) => {
    // A label that claims to be Punycode and is not, such as `xn--a`, matches the pattern; Node up to 22 refuses it.
    const url = parseUrl(written)
    if (url === undefined) return undefined
    const { origin, host, hostname, protocol } = url
    return { url: origin + base, origin, host, hostname, base, secure: protocol === 'https:' }
  },
})
