/** One sign-in attempt: state, nonce and code verifier in a sealed cookie of its own, for ten minutes (deploy/docs/sessions.md#sign-in). */
import { createHash, randomBytes } from 'node:crypto'
import type { Milliseconds, Now } from '../core/clock.js'
import { formatCookie } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
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

/** LoginStates that one browser may have open; the oldest is dropped for a new one. */
const most = 5
const lifetime: Milliseconds = 10 * 60_000
/** A callback that is sent twice finds its attempt for this long. */
const finishedLife: Milliseconds = 60_000

/** 256 bits, as base64url. */
function random(): string {
  return randomBytes(32).toString('base64url')
}

/** The S256 challenge of a verifier (RFC 7636 §4.2). */
export function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}

/** Creates the keeper of attempts. */
export function createLoginStates(sealer: Sealer, names: CookieNames, issuer: string, now: Now) {
  const nameOf = (state: string) => names.attempt + state.slice(0, 8)
  return {
    /** A new attempt and the cookies that keep it; `present` are the attempts that came along. */
    async start(returnTo: string, present: readonly (readonly [string, string])[]) {
      const attempt: LoginState = {
        state: random(),
        nonce: random(),
        verifier: random(),
        returnTo,
        issuer,
        at: now(),
      }
      const sealed = await sealer.seal(attempt)
      // Browsers send the cookie first that they got first.
      const dropped = present.slice(0, Math.max(0, present.length - most + 1))
      return {
        attempt,
        cookies: [
          ...dropped.map(([name]) => formatCookie(names, name, '', 0)),
          formatCookie(names, nameOf(attempt.state), sealed, lifetime),
        ],
      }
    },

    /** The attempt that a state belongs to in this browser, or undefined. */
    async find(state: string, present: readonly (readonly [string, string])[]) {
      const cookie = present.find(([name]) => name === nameOf(state))
      const opened = cookie === undefined ? undefined : await sealer.open(cookie[1])
      const attempt = opened?.value as LoginState | undefined
      if (attempt === undefined || attempt.state !== state || attempt.issuer !== issuer) {
        return undefined
      }
      return now() - attempt.at > lifetime ? undefined : attempt
    },

    /** Lets an attempt go: it stays a moment for a callback that the browser sends twice. */
    finish(state: string, present: readonly (readonly [string, string])[]): readonly string[] {
      const cookie = present.find(([name]) => name === nameOf(state))
      return cookie === undefined ? [] : [formatCookie(names, cookie[0], cookie[1], finishedLife)]
    },
  }
}

/** The attempts of one gateway. */
export type LoginStates = ReturnType<typeof createLoginStates>
