/** One sign-in attempt: state, nonce and code verifier in a sealed cookie of its own, for ten minutes (deploy/docs/sessions.md#sign-in). */
import {
  calculatePKCECodeChallenge,
  generateRandomCodeVerifier,
  generateRandomNonce,
  generateRandomState,
} from 'oauth4webapi'
import type { Milliseconds, Now } from '../core/clock.js'
import { formatCookie } from '../session/cookies.js'
import type { CookieNames, CookiePairs } from '../session/cookies.js'
import type { Sealer } from '../session/sealer.js'

/** What an attempt remembers until the browser is back. */
export interface LoginState {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly returnTo: string
  readonly issuer: string
  readonly at: Milliseconds
}

/** Attempts that one browser may have open; the oldest is dropped for a new one. */
const maxAttempts = 5
const lifetime: Milliseconds = 10 * 60_000
/** A callback that is sent twice finds its attempt for this long. */
const finishedLife: Milliseconds = 60_000

/** The attempts of one gateway. */
export class LoginStates {
  readonly #sealer: Sealer
  readonly #names: CookieNames
  readonly #issuer: string
  readonly #now: Now

  constructor(sealer: Sealer, names: CookieNames, issuer: string, now: Now) {
    this.#sealer = sealer
    this.#names = names
    this.#issuer = issuer
    this.#now = now
  }

  /** Begins an attempt, with the cookies that keep it; `present` are the attempts that came along. */
  async start(returnTo: string, present: CookiePairs) {
    const attempt: LoginState = {
      state: generateRandomState(),
      nonce: generateRandomNonce(),
      verifier: generateRandomCodeVerifier(),
      returnTo,
      issuer: this.#issuer,
      at: this.#now(),
    }
    const sealed = await this.#sealer.seal(attempt)
    // Browsers send the cookie first that they got first.
    const dropped = present.slice(0, Math.max(0, present.length - maxAttempts + 1))
    return {
      attempt,
      /** For the authorization request (RFC 7636 §4.2). */
      codeChallenge: await calculatePKCECodeChallenge(attempt.verifier),
      cookies: [
        ...dropped.map(([name]) => formatCookie(this.#names, name, '', 0)),
        formatCookie(this.#names, this.#nameOf(attempt.state), sealed, lifetime),
      ],
    }
  }

  /** The attempt that a state belongs to in this browser, or undefined. */
  async find(state: string, present: CookiePairs): Promise<LoginState | undefined> {
    const cookie = this.#cookieOf(state, present)
    const opened = cookie === undefined ? undefined : await this.#sealer.open(cookie[1])
    const attempt = opened?.value as LoginState | undefined
    if (attempt === undefined || attempt.state !== state || attempt.issuer !== this.#issuer) {
      return undefined
    }
    return this.#now() - attempt.at > lifetime ? undefined : attempt
  }

  /** Shortens an attempt's life: it stays a moment for a callback that the browser sends twice. */
  finish(state: string, present: CookiePairs): readonly string[] {
    const cookie = this.#cookieOf(state, present)
    if (cookie === undefined) return []
    return [formatCookie(this.#names, cookie[0], cookie[1], finishedLife)]
  }

  #nameOf(state: string): string {
    return this.#names.attempt + state.slice(0, 8)
  }

  #cookieOf(state: string, present: CookiePairs) {
    return present.find(([name]) => name === this.#nameOf(state))
  }
}
