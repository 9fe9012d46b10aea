/** Networks of addresses, and the peers that the configuration trusts. */
import { SocketAddress, isIP, isIPv4 } from 'node:net'
import { ipv4, ipv6 } from './host.js'
import { textKind } from './text-kind.js'

/** A network: its address, the length of its prefix, and the family (RFC 4632, RFC 4291 §2.3). */
export interface Network {
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** Whose forwarding headers count: those who connect from a network, or over a Unix socket. */
export type TrustedPeer = Network | 'unix'

/** What an IPv6 address begins with that carries one of IPv4, as it is usually written (RFC 5952 §5). */
const mapped = '::ffff:'
/** Bits before the IPv4 address that such an address carries. */
const mappedBits = 96

/** Addresses like `::ffff:10.0.0.1`, in whatever spelling, are the IPv4 address they carry. */
export function plainAddress(address: string): string {
  if (!/ffff:/i.test(address) || isIP(address) !== 6) return address
  const usual = new SocketAddress({ address, family: 'ipv6' }).address
  const carried = usual.slice(mapped.length)
  return usual.startsWith(mapped) && isIPv4(carried) ? carried : address
}

function toNetwork(written: string, length: string | undefined): Network {
  if (isIPv4(written)) return { address: written, prefix: Number(length ?? 32), family: 'ipv4' }
  const prefix = Number(length ?? 128)
  const address = prefix >= mappedBits ? plainAddress(written) : written
  return address === written
    ? { address, prefix, family: 'ipv6' }
    : { address, prefix: prefix - mappedBits, family: 'ipv4' }
}

/** An entry of `server.trustedProxies`. */
export const trustedPeer = textKind<TrustedPeer>({
  name: 'network',
  pattern: `^(?:unix|(?<v4>${ipv4})(?:/(?<bits4>3[0-2]|[12]?[0-9]))?|(?<v6>${ipv6})(?:/(?<bits6>12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$`,
  wanted: 'a network such as 10.0.0.0/8 or fd00::/8, one address, or unix',
  read: ({ v4, bits4, v6, bits6 }) => {
    if (v4 !== undefined) return toNetwork(v4, bits4)
    return v6 === undefined ? 'unix' : toNetwork(v6, bits6)
  },
})

/** The address as it is counted: IPv6 by /64, since a household has that many (RFC 6177 §2). */
export function addressKey(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('%', 1)[0]!.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right]
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
