/** `Authorization: Basic` on rows that take a personal token as its password (RFC 7617). */
import { GatewayError } from '../core/errors.js'
import type { Identity } from '../core/identity.js'
import type { RequestHeaders } from '../request/headers.js'
import { foldName } from '../trac/user-names.js'
import { presented } from './bearer.js'
import type { PresentedToken } from './bearer.js'

/** The two parts of it. */
export interface BasicCredential {
  readonly user: string
  readonly password: PresentedToken
}

const credentials = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads the header; undefined if it is malformed, and so proves nothing. */
export function readBasic(header: string): BasicCredential | undefined {
  const encoded = credentials.exec(header)?.[1]
  if (encoded === undefined) return undefined
  try {
    const text = utf8.decode(Buffer.from(encoded, 'base64'))
    const colon = text.indexOf(':')
    if (colon < 0) return undefined
    return { user: text.slice(0, colon), password: presented(text.slice(colon + 1)) }
  } catch {
    return undefined
  }
}

/**
 * Refuses what a page made a browser send, whoever's page it was. Browsers send HTTP Basic by themselves once they have it.
 * @throws {@link GatewayError} ERR_CROSS_SITE
 */
export function refusePages({ fetchSite, origin }: RequestHeaders, publicOrigin: string): void {
  const isForeign = origin !== '' && origin !== publicOrigin
  if (isForeign || (fetchSite !== '' && fetchSite !== 'none')) {
    throw new GatewayError('ERR_CROSS_SITE')
  }
}

/** Refuses a token under another name than its owner's. @throws {@link GatewayError} ERR_TOKEN_USER */
export function checkUser(user: string, { principal, token }: Identity): void {
  if (foldName(user) === foldName(principal.user)) return
  const found = { user: user.slice(0, 100), token: token?.name }
  throw new GatewayError('ERR_TOKEN_USER', { found, wanted: { user: principal.user } })
}
