/** Hosts and ports: how they are written, as parts of the patterns of addresses, and what they say. */
import { isIP, isIPv4 } from 'node:net'

const octet = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'

/** An IPv4 address. */
export const ipv4 = `(?:${octet}\\.){3}${octet}`

const group = '[0-9A-Fa-f]{1,4}'
const lastTwo = `(?:${group}:${group}|${ipv4})`

/** Where `::` stands, at most seven groups are written, and an IPv4 address counts as two. */
const tooManyGroups = `:{0,2}${group}(?::{1,2}${group}){5}:{1,2}(?:${group}:{1,2}${group}|${ipv4})`

/**
 * An IPv6 address without a zone (RFC 3986 §3.2.2, `IPv6address`). The nine forms that the RFC lists are two here: each
 * address of the configuration has this pattern, and compiling all nine took 4 ms of the start for each of them.
 */
export const ipv6 = `(?:(?:${group}:){6}${lastTwo}|(?!${tooManyGroups})(?:${group}(?::${group})*)?::(?:(?:${group}:)*(?:${ipv4}|${group}))?)`

const label = '[A-Za-z0-9_]+(?:-+[A-Za-z0-9_]+)*'

/** A host name. One whose last label is a number would be read as an IPv4 address by a URL parser. */
export const hostName = `(?:${label}\\.)*(?![0-9]+(?![A-Za-z0-9_-]))(?!0[xX])${label}\\.?`

/** A host as it stands in a URL. */
export const urlHost = `(?:${ipv4}|\\[${ipv6}\\]|${hostName})`

/** A TCP port. */
export const port =
  '(?:[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]|[1-9][0-9]{0,3}|0)'

/** The origin of an `http` URL. */
export const httpOrigin = `https?://${urlHost}(?::${port})?`

/** Says how an address is written that has a host in another script than ASCII. */
export function hintAtAscii(text: string): string | undefined {
  const url = parseUrl(text)
  const isForeign = /^https?:\/\/[^/]*[^\x20-\x7e]/.test(text)
  return url !== undefined && isForeign ? `the host in ASCII: ${url.host}` : undefined
}

/** A URL of text, or undefined. */
export function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}

/** A host without the brackets that an IPv6 address has in a URL. */
export const withoutBrackets = (host: string): string => host.replace(/^\[|\]$/g, '')

/** A host and a port that says no more than its scheme does; it may be empty (RFC 3986 §3.2.3). */
const withUsualPort = {
  https: /^(\[[^\]]*\]|[^:]*):(?:443)?$/,
  http: /^(\[[^\]]*\]|[^:]*):(?:80)?$/,
} as const

/**
 * A `Host` as it is compared: without the port that its scheme has anyway, in lower case (RFC 3986 §3.2.2, §3.2.3). A dot
 * at the end stays: to a browser that is another host, which has none of our cookies.
 */
export function comparableHost(host: string, scheme: 'https' | 'http'): string {
  return host.replace(withUsualPort[scheme], '$1').toLowerCase()
}

/** The name that TLS asks a host for; an IP address has none (RFC 6066 §3). */
export const serverNameOf = (host: string): string => (isIP(host) === 0 ? host : '')

/** Whether a host can only be this machine: `localhost`, 127.0.0.0/8, `::1`. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.')
  return host === 'localhost' || withoutBrackets(host) === '::1'
}

/** As {@link isLoopback}, and `*.localhost`, which browsers never look up (RFC 6761 §6.3). */
export const isLoopbackForBrowsers = (host: string): boolean =>
  isLoopback(host) || host.endsWith('.localhost')
