/** The authorization request: where a sign-in begins at the provider (OpenID Connect Core §3.1.2.1, RFC 7636 §4.3). */

/** What one request depends on. */
export interface AuthorizationRequest {
  /** The provider's authorization endpoint. */
  readonly endpoint: string
  readonly clientId: string
  readonly redirectUri: string
  readonly scopes: readonly string[]
  readonly state: string
  readonly nonce: string
  readonly codeChallenge: string
  /** `login`, or `select_account`: by a person, whatever the provider remembers; `none`: without one. */
  readonly prompt?: 'login' | 'select_account' | 'none' | undefined
}

/** Its address. */
export function authorizationUrl(request: AuthorizationRequest): string {
  const url = new URL(request.endpoint)
  url.searchParams.set('response_type', 'code')
  url.searchParams.set('client_id', request.clientId)
  url.searchParams.set('redirect_uri', request.redirectUri)
  url.searchParams.set('scope', request.scopes.join(' '))
  url.searchParams.set('state', request.state)
  url.searchParams.set('nonce', request.nonce)
  url.searchParams.set('code_challenge', request.codeChallenge)
  url.searchParams.set('code_challenge_method', 'S256')
  if (request.prompt !== undefined) url.searchParams.set('prompt', request.prompt)
  return url.href
}
