/**
 * Who may see and send the pages of personal tokens: somebody who has signed in, in a window of its own, by a form that these
 * pages made.
 *
 * A script on a page of Trac is of our own origin, so the origin of a request proves nothing here. These pages are therefore
 * for a window of its own alone: browsers say so (Fetch Metadata), a frame is refused, and `Cross-Origin-Opener-Policy` takes
 * the window away from whoever opened it. So no script reads the form, and without what the form holds nothing is made.
 */
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { isNavigation } from '../edge/reply.js'
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import { readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import type { OpenSession } from '../session/open-session.js'
import type { Sealer } from '../session/sealer.js'
import type { Sessions } from '../session/sessions.js'
import { parameter } from './login.js'

/** What the gate needs. */
export interface TokenGateParts {
  readonly base: string
  /** `identity.clockTolerance`: the provider's clock may be ahead of ours by that. */
  readonly tolerance: Milliseconds
  readonly sessions: Pick<Sessions, 'peek'>
  readonly names: CookieNames
  readonly formSealer: Sealer
  readonly isSameOrigin: (context: RequestContext) => boolean
  readonly reply: Reply
  readonly now: Now
}

/** To make a token, one must have signed in within this. */
const maxSignInAge: Milliseconds = 5 * 60_000
/** A form is good for so long. How long ago the sign-in was is asked besides. */
const formLife: Milliseconds = 12 * 3_600_000

/** Headers by which no script has the window that it opens, and no frame shows it. */
export const alone = [
  'Cross-Origin-Opener-Policy',
  'same-origin',
  'X-Frame-Options',
  'DENY',
] as const

/** What the form holds: whose session it was made for, and when. */
interface FormSeal {
  readonly session: string
  readonly at: Milliseconds
}

/** The gate. */
export class TokenGate {
  readonly #parts: TokenGateParts

  constructor(parts: TokenGateParts) {
    this.#parts = parts
  }

  /** Where somebody signs in and comes back; `again`: also who is signed in. */
  loginUrl(returnTo: string, again: boolean): string {
    const query = new URLSearchParams({ return_to: returnTo })
    if (again) query.set('prompt', 'login')
    return `${this.#parts.base}/auth/login?${query.toString()}`
  }

  /**
   * The session; undefined if somebody without one was sent to sign in.
   * @throws {@link GatewayError} ERR_NAVIGATION_REQUIRED — a script, a frame, or a browser that does not say;
   *   ERR_CREDENTIAL_NOT_ACCEPTED, ERR_LOGIN_REQUIRED
   */
  async enter(context: RequestContext): Promise<OpenSession | undefined> {
    const { base, sessions, names, reply } = this.#parts
    const { headers, request, identity } = context
    const isWindow =
      headers.fetchMode === 'navigate' && request.headers['sec-fetch-dest'] === 'document'
    if (!isWindow) throw new GatewayError('ERR_NAVIGATION_REQUIRED')
    if (identity.via === 'session') {
      const session = await sessions.peek(readCookies(headers.cookie, names).session)
      if (session !== undefined) return session
    } else if (identity.via !== undefined) throw new GatewayError('ERR_CREDENTIAL_NOT_ACCEPTED')
    if (!isNavigation(context)) throw new GatewayError('ERR_LOGIN_REQUIRED')
    reply.redirect(context, 302, this.loginUrl(base + context.path, false))
    return undefined
  }

  /** Whether the sign-in was a moment ago: here, and at the provider, by what it says of that. */
  isFresh({ record }: OpenSession): boolean {
    const oldest = this.#parts.now() - maxSignInAge
    return record.startedAt >= oldest && record.authenticatedAt >= oldest - this.#parts.tolerance
  }

  /** Off to sign in, unless that has just happened to no avail. @throws {@link GatewayError} ERR_SIGN_IN_OLD */
  signInAgain(context: RequestContext, { record }: OpenSession): void {
    const { base, reply, now } = this.#parts
    const oldest = now() - maxSignInAge
    if (parameter(context, 'again') !== '' && record.startedAt >= oldest) {
      throw new GatewayError('ERR_SIGN_IN_OLD', {
        found: { auth_time: new Date(record.authenticatedAt).toISOString() },
        wanted: { auth_time: new Date(oldest).toISOString() },
      })
    }
    reply.redirect(context, 302, this.loginUrl(`${base + context.path}?again=1`, true))
  }

  /** What a form must hold. */
  seal({ record }: OpenSession): Promise<string> {
    const { formSealer, now } = this.#parts
    return formSealer.seal({ session: record.id, at: now() } satisfies FormSeal)
  }

  /** Judges a form that was sent. @throws {@link GatewayError} ERR_CROSS_SITE, ERR_FORM_STALE */
  async check(
    context: RequestContext,
    { record }: OpenSession,
    sent: URLSearchParams,
  ): Promise<void> {
    const { isSameOrigin, formSealer, now } = this.#parts
    if (!isSameOrigin(context)) throw new GatewayError('ERR_CROSS_SITE')
    const opened = await formSealer.open(sent.get('form') ?? '')
    // Only what was sealed above opens.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    const seal = opened?.value as FormSeal | undefined
    const isGood = seal?.session === record.id && now() - seal.at < formLife
    if (!isGood) throw new GatewayError('ERR_FORM_STALE')
  }
}
