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
import type { Revocations } from '../session/revocations.js'
import type { Sealer } from '../session/sealer.js'

/** What an attempt remembers until the browser is back. */
export interface LoginState {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly returnTo: string
  readonly issuer: string
  readonly at: Milliseconds
  /** The same instant as sign-outs are told from it ({@link Revocations.beginAttempt}). */
  readonly begunAt: Milliseconds
}

/** Attempts that one browser may have open; the oldest is dropped for a new one. */
const maxAttempts = 5
const lifetime: Milliseconds = 10 * 60_000

/** An attempt as it was sealed; release 0.1 knew one instant only. */
function readAttempt(value: unknown): LoginState | undefined {
  const attempt = value as (Omit<LoginState, 'begunAt'> & Partial<LoginState>) | undefined
  return attempt && { ...attempt, begunAt: attempt.begunAt ?? attempt.at }
}

/** What attempts are built with. */
export interface LoginStateParts {
  readonly sealer: Sealer
  readonly names: CookieNames
  readonly issuer: string
  readonly now: Now
  /** Tell attempts from sign-outs. */
  readonly revocations: Pick<Revocations, 'beginAttempt'>
}

/**
 * The attempts of one gateway. One that has served is left to its end in the browser, for a callback that is sent twice: to
 * shorten its life would send all of it once more, beside a new session, and a usual proxy takes one page of headers.
 */
export class LoginStates {
  readonly #sealer: Sealer
  readonly #names: CookieNames
  readonly #issuer: string
  readonly #now: Now
  readonly #revocations: Pick<Revocations, 'beginAttempt'>

  constructor({ sealer, names, issuer, now, revocations }: LoginStateParts) {
    this.#revocations = revocations
    this.#sealer = sealer
    this.#names = names
    this.#issuer = issuer
    this.#now = now
  }

  /**
   * Begins an attempt, with the cookies that keep it; `present` are the attempts that came along.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — sign-outs are shared, and their clock can't be asked
   */
  async start(returnTo: string, present: CookiePairs) {
    const attempt: LoginState = {
      state: generateRandomState(),
      nonce: generateRandomNonce(),
      verifier: generateRandomCodeVerifier(),
      returnTo,
      issuer: this.#issuer,
      at: this.#now(),
      begunAt: await this.#revocations.beginAttempt(),
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
    const attempt = readAttempt(opened?.value)
    if (attempt === undefined || attempt.state !== state || attempt.issuer !== this.#issuer) {
      return undefined
    }
    return this.#now() - attempt.at > lifetime ? undefined : attempt
  }

  #nameOf(state: string): string {
    return this.#names.attempt + state.slice(0, 8)
  }

  #cookieOf(state: string, present: CookiePairs) {
    return present.find(([name]) => name === this.#nameOf(state))
  }
}
