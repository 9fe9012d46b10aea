/** Which hosts are this machine, and the origins made of them. */
import { isIPv4 } from 'node:net'

/** Whether a URL's host name can only be this machine: `localhost`, 127.0.0.0/8, `[::1]`. */
export function isLoopback(hostname: string): boolean {
  if (isIPv4(hostname)) return hostname.startsWith('127.')
  return hostname === 'localhost' || hostname === '[::1]' || hostname === '::1'
}

/** As {@link isLoopback}, and `*.localhost`, which browsers never look up (RFC 6761 §6.3). */
export const isLoopbackForBrowsers = (hostname: string): boolean =>
  isLoopback(hostname) || hostname.endsWith('.localhost')

/** A URL of text, or undefined. */
export function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}
