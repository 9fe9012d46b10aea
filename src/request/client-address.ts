/**
 * Who is on the other end of the connection: its address and scheme, believed from trusted proxies only
 * (deploy/docs/guides/front-proxy.md). By hand: Fastify's `trustProxy` and `proxy-addr` know no Unix sockets, no
 * `Forwarded` (RFC 7239), and take the scheme from a list whoever wrote it.
 */
import { BlockList, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { plainAddress } from '../core/network.js'
import type { TrustedPeer } from '../core/network.js'
import type { RequestHeaders } from './headers.js'

/** How a visitor came. */
export type Scheme = 'https' | 'http'

/** What is known of the client. */
export interface Client {
  readonly address: string
  /** How it came to us, or to the first proxy; undefined: a trusted proxy does not say, or says what nobody knows. */
  readonly scheme: Scheme | undefined
  /** Whether the peer itself, the next hop, is a trusted proxy. */
  readonly trusted: boolean
}

/** Whether an address (or `unix`) belongs to a trusted proxy. */
export type IsTrusted = (address: string) => boolean

/** Compiles `server.trustedProxies`: networks and the word `unix`; nobody by default. */
export function createTrust(proxies: readonly TrustedPeer[]): IsTrusted {
  // Node's own list lets networks of IPv6 hold IPv4 addresses, too: `::/0` would be everybody.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const proxy of proxies) {
    if (proxy === 'unix') continue
    lists[proxy.family].addSubnet(proxy.address, proxy.prefix, proxy.family)
  }
  const unix = proxies.includes('unix')
  return (address) => {
    if (address === 'unix') return unix
    const version = isIP(address)
    if (version === 0) return false
    const family = version === 4 ? 'ipv4' : 'ipv6'
    return lists[family].check(address, family)
  }
}

const schemes: ReadonlyMap<string, Scheme> = new Map([
  ['https', 'https'],
  ['wss', 'https'],
  ['http', 'http'],
  ['ws', 'http'],
])

/** The scheme that a proxy names by one word: some name a WebSocket's own (RFC 6455 §3). Undefined for any other word. */
export function schemeOf(word: string): Scheme | undefined {
  return schemes.get(word.trim().toLowerCase())
}

interface Hop {
  readonly address: string
  /** The empty text if it is not said. */
  readonly proto: string
}

/** Takes the address out of a node of RFC 7239 §6: quotes, brackets and port off. */
function nodeAddress(node: string): string {
  const bare = node.trim().replace(/^"(.*)"$/, '$1')
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(bare)
  if (bracketed !== null) return plainAddress(bracketed[1]!)
  return plainAddress(isIP(bare) === 6 ? bare : bare.replace(/:\d+$/, ''))
}

/** @see RFC 7239 §4 */
function readForwarded(text: string): readonly Hop[] {
  return text.split(',').map((element) => {
    const pairs = new Map<string, string>()
    for (const pair of element.split(';')) {
      const equals = pair.indexOf('=')
      if (equals > 0) pairs.set(pair.slice(0, equals).trim().toLowerCase(), pair.slice(equals + 1))
    }
    const proto = (pairs.get('proto') ?? '').replaceAll('"', '')
    return { address: nodeAddress(pairs.get('for') ?? ''), proto }
  })
}

/**
 * The addresses that proxies report, the client's first. A proxy that writes X-Forwarded-* does not write Forwarded: that
 * one would be the client's own, passed on.
 */
function readHops({ forwardedFor, forwardedProto, forwarded }: RequestHeaders): readonly string[] {
  if (forwardedFor !== '') return forwardedFor.split(',').map(nodeAddress)
  if (forwardedProto !== '' || forwarded === '') return []
  return readForwarded(forwarded).map((hop) => hop.address)
}

/** Whether the headers of a proxy name the client at all. */
export function namesClient({ forwardedFor, forwardedProto, forwarded }: RequestHeaders): boolean {
  return forwardedFor !== '' || (forwardedProto === '' && /\bfor\s*=/i.test(forwarded))
}

/**
 * How the visitor came to the first proxy, by the headers alone. The first value counts, since each further proxy may add
 * how it was reached itself: whoever forges it harms only a connection of their own.
 */
export function saidScheme({ forwardedProto, forwarded }: RequestHeaders): Scheme | undefined {
  if (forwardedProto !== '') return schemeOf(forwardedProto.split(',', 1)[0]!)
  if (forwarded === '') return undefined
  return schemeOf(readForwarded(forwarded).find(({ proto }) => proto !== '')?.proto ?? '')
}

/** Walks from the nearest hop outward and stops at the first one that is not a trusted proxy. */
function firstUntrusted(peer: string, hops: readonly string[], isTrusted: IsTrusted): string {
  let address = peer
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = hops[i]!
    if (isIP(hop) === 0) return address
    address = hop
    if (!isTrusted(hop)) return address
  }
  return address
}

/** Resolves the client of a request; forwarding headers of untrusted peers are not read at all. */
export function createClientResolver(isTrusted: IsTrusted, listensOnUnix: boolean) {
  const peers = new WeakMap<Socket, { address: string; trusted: boolean; encrypted: boolean }>()
  const nameless = listensOnUnix ? 'unix' : ''
  const peerOf = (socket: Socket) => {
    let peer = peers.get(socket)
    if (peer === undefined) {
      const address =
        socket.remoteAddress === undefined ? nameless : plainAddress(socket.remoteAddress)
      const encrypted = 'encrypted' in socket
      peer = { address, trusted: isTrusted(address), encrypted }
      peers.set(socket, peer)
    }
    return peer
  }
  return (socket: Socket, headers: RequestHeaders): Client => {
    const peer = peerOf(socket)
    const own = peer.encrypted ? 'https' : 'http'
    if (!peer.trusted) return { address: peer.address, scheme: own, trusted: false }
    return {
      address: firstUntrusted(peer.address, readHops(headers), isTrusted),
      scheme: peer.encrypted ? own : saidScheme(headers),
      trusted: true,
    }
  }
}
