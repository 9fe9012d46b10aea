/** Did this request come from our own pages? Pure (deploy/docs/requests.md#cross-site-requests). */
import type { RequestHeaders } from '../request/headers.js'

function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : ''
}

/**
 * Whether an unsafe request that rides on a cookie comes from our own origin.
 * `Sec-Fetch-Site` counts first, since no page can forge it; then `Origin`, then `Referer`; none of them is a no.
 */
export function isSameOrigin(headers: RequestHeaders, publicOrigin: string): boolean {
  const { fetchSite, origin, referer } = headers
  if (fetchSite !== '') {
    return (
      fetchSite === 'same-origin' && (origin === '' || origin === 'null' || origin === publicOrigin)
    )
  }
  if (origin !== '') return origin === publicOrigin
  return referer !== '' && originOf(referer) === publicOrigin
}

/** Methods that change nothing (RFC 9110 §9.2.1). */
export const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
