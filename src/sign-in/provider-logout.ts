/** Ends a sign-in at the provider, as far as the provider lets us, and says where the browser goes for the rest. */
import { within } from '../core/clock.js'
import type { Milliseconds, Timers } from '../core/clock.js'
import type { Endpoints, FindEndpoints } from '../oidc/provider-endpoints.js'
import type { TokenClient } from '../oidc/token-client.js'
import type { TokenIdentifiers } from '../session/token-identifiers.js'
import { createReturnState } from './sign-out-mark.js'
import type { TokenChecks } from './token-response.js'

/** What it needs. */
export interface ProviderLogoutParts {
  readonly clientId: string
  /** Where the provider sends the browser when it is done. */
  readonly signedOutUrl: string
  readonly endpoints: FindEndpoints
  readonly tokens: TokenClient
  readonly checks: TokenChecks
  /** Ends whatever has one of these identifiers, as part of the sign-out that happened at `at`. */
  readonly endSignIn: (identifiers: TokenIdentifiers, at: Milliseconds) => Promise<void>
  readonly timers: Timers
}

/** Where the browser goes, and how it will come back from there. */
export interface WayOut {
  readonly url: string
  readonly back: { readonly state: string } | 'somehow' | 'never'
}

/** Hears of what the provider failed to do. */
export type OnFault = (cause: unknown) => void

/** How long the provider may keep somebody waiting who wants to leave. */
const timeout: Milliseconds = 3000

/** Resolves to undefined if the work fails, or takes longer than the provider may take. */
export async function withinTimeout<T extends object>(
  timers: Timers,
  work: Promise<T>,
  onFault: OnFault,
): Promise<T | undefined> {
  try {
    const done = await within(timers, work, timeout)
    if (done === undefined) onFault(new Error('the provider took too long'))
    return done
  } catch (cause) {
    onFault(cause)
    return undefined
  }
}

/** Signs out at the provider. */
export class ProviderLogout {
  readonly #parts: ProviderLogoutParts

  constructor(parts: ProviderLogoutParts) {
    this.#parts = parts
  }

  /**
   * Ends the sign-in there.
   * @param at when the person signed out here
   * @returns the way of the browser: to the provider's own log-out, else to our page
   */
  async end(refreshToken: string | undefined, at: Milliseconds, onFault: OnFault): Promise<WayOut> {
    const { timers } = this.#parts
    const out = await withinTimeout(timers, this.#endByToken(refreshToken, at, onFault), onFault)
    if (out !== undefined) return out
    const endpoints = await withinTimeout(timers, this.#parts.endpoints(), onFault)
    return endpoints === undefined
      ? { url: this.#parts.signedOutUrl, back: 'never' }
      : this.#wayOut(endpoints, undefined)
  }

  /** What one of the provider's endpoints fails to do is told, and no reason to leave the next one unasked. */
  async #endByToken(
    refreshToken: string | undefined,
    at: Milliseconds,
    onFault: OnFault,
  ): Promise<WayOut> {
    const endpoints = await this.#parts.endpoints()
    if (refreshToken === undefined) return this.#wayOut(endpoints, undefined)
    const told = (cause: unknown): undefined => {
      onFault(cause)
    }
    const wantsHint = endpoints.logout.kind === 'oidc'
    const hint = wantsHint
      ? await this.#freshHint(refreshToken, at, onFault).catch(told)
      : undefined
    const latest = hint?.refreshToken ?? refreshToken
    const revoked = await this.#parts.tokens.revoke(latest).catch(told)
    if (revoked === false) onFault(new Error('the provider did not revoke the refresh token'))
    return this.#wayOut(endpoints, hint?.idToken)
  }

  /** A fresh ID token as the hint, and the refresh token that counts once it was had. */
  async #freshHint(refreshToken: string, at: Milliseconds, onFault: OnFault) {
    const fresh = await this.#parts.tokens.refresh(refreshToken)
    const latest = fresh.refreshToken ?? refreshToken
    try {
      // The hint travels through the browser, and must be of no use here either.
      await this.#parts.endSignIn(this.#parts.checks.identifiersOf(fresh), at)
    } catch (cause) {
      onFault(cause)
      return { idToken: undefined, refreshToken: latest }
    }
    return { idToken: fresh.idToken, refreshToken: latest }
  }

  /** Where the provider's own session is ended (OpenID Connect RP-Initiated Logout 1.0 §2; Cognito has its own form). */
  #wayOut({ logout }: Endpoints, idToken: string | undefined): WayOut {
    const { clientId, signedOutUrl } = this.#parts
    if (logout.kind === 'none') return { url: signedOutUrl, back: 'never' }
    const url = new URL(logout.endpoint)
    url.searchParams.set('client_id', clientId)
    if (logout.kind === 'cognito') {
      url.searchParams.set('logout_uri', signedOutUrl)
      return { url: url.href, back: 'somehow' }
    }
    const state = createReturnState()
    if (idToken !== undefined) url.searchParams.set('id_token_hint', idToken)
    url.searchParams.set('post_logout_redirect_uri', signedOutUrl)
    url.searchParams.set('state', state)
    return { url: url.href, back: { state } }
  }
}
