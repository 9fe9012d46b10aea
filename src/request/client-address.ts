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

/** What is known of the client. */
export interface Client {
  readonly address: string
  readonly secure: boolean
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

interface Hop {
  readonly address: string
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
    const proto = (pairs.get('proto') ?? '').trim().replaceAll('"', '').toLowerCase()
    return { address: nodeAddress(pairs.get('for') ?? ''), proto }
  })
}

/** The hops that proxies report, the client first; X-Forwarded-* counts before Forwarded. */
function readHops(headers: RequestHeaders): { hops: readonly string[]; proto: string } {
  if (headers.forwardedFor !== '' || headers.forwardedProto !== '') {
    const hops = headers.forwardedFor === '' ? [] : headers.forwardedFor.split(',')
    const protos = headers.forwardedProto.split(',').map((proto) => proto.trim().toLowerCase())
    // Every hop must have been https: one that was not is what an eavesdropper would use.
    return { hops: hops.map(nodeAddress), proto: protos.every((p) => p === 'https') ? 'https' : '' }
  }
  if (headers.forwarded === '') return { hops: [], proto: '' }
  const hops = readForwarded(headers.forwarded)
  const proto = hops.every((hop) => hop.proto === 'https') ? 'https' : ''
  return { hops: hops.map((hop) => hop.address), proto }
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
    if (!peer.trusted) return { address: peer.address, secure: peer.encrypted, trusted: false }
    const { hops, proto } = readHops(headers)
    return {
      address: firstUntrusted(peer.address, hops, isTrusted),
      secure: peer.encrypted || proto === 'https',
      trusted: true,
    }
  }
}
