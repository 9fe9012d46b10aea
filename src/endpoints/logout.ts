/** `/auth/logout` and Trac's `/logout`: the session ends here first, then at the provider. */
import { GatewayError } from '../core/errors.js'
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import { deleteSession, readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import type { Revocations } from '../session/revocations.js'
import type { Sessions } from '../session/sessions.js'
import type { LoopGuard } from '../sign-in/loop-guard.js'
import type { ProviderLogout, WayOut } from '../sign-in/provider-logout.js'
import { markSignOut } from '../sign-in/sign-out-mark.js'
import type { SendLogoutPage } from './logout-page.js'
import { clearCachedPages } from './signed-out.js'

/** What sign-out needs. */
export interface LogoutParts {
  readonly base: string
  readonly signedOutUrl: string
  readonly sessions: Sessions
  readonly revocations: Revocations
  readonly providerLogout: ProviderLogout
  readonly names: CookieNames
  readonly loopGuard: LoopGuard
  readonly isSameOrigin: (context: RequestContext) => boolean
  readonly reply: Reply
  /** For the page that asks, which has a form. */
  readonly logoutPage: SendLogoutPage
  readonly onLogout: (kind: string) => void
}

/** Builds the endpoint. POST ends the session; GET asks first, so that no link or image can sign anybody out. */
export function createLogout(parts: LogoutParts) {
  const { base, names, sessions } = parts

  const endSession = async (
    context: RequestContext,
    value: string,
  ): Promise<WayOut | undefined> => {
    const session = await sessions.peek(value)
    if (session === undefined) return undefined
    const at = await parts.revocations.endingNow()
    // Before anything else: whatever happens at the provider, it is over here.
    await sessions.end(session, at)
    return parts.providerLogout.end(session.record.refreshToken, at, (cause) => {
      context.cause = cause
    })
  }

  const signOut = async (context: RequestContext): Promise<void> => {
    if (!parts.isSameOrigin(context)) throw new GatewayError('ERR_CROSS_SITE')
    const cookies = readCookies(context.headers.cookie, names)
    const hasCookie = cookies.sessionNames.length > 0
    const out = hasCookie ? await endSession(context, cookies.session) : undefined
    context.setCookies = [
      ...deleteSession(names, cookies.sessionNames),
      ...parts.loopGuard.forget(cookies.attempts),
      markSignOut(names, out?.back ?? 'never'),
    ]
    parts.onLogout(out === undefined ? 'nobody' : 'session')
    const headers = ['Location', out?.url ?? parts.signedOutUrl, ...clearCachedPages]
    parts.reply.send(context, 303, headers, '')
  }

  const ask = (context: RequestContext): Promise<void> => {
    const { user } = context.identity.principal
    const start = { label: 'Go to the start page', href: `${base}/` }
    if (user === '') {
      return parts.logoutPage(context, {
        title: 'You are not signed in',
        paragraphs: ['There is nothing to sign out of.'],
        actions: [start],
      })
    }
    return parts.logoutPage(context, {
      title: 'Sign out?',
      paragraphs: [
        `You are signed in as ${user}. Signing out ends it here and at the sign-in provider.`,
      ],
      actions: [{ label: 'Sign out', post: `${base}/auth/logout` }, start],
    })
  }

  return (context: RequestContext): Promise<void> =>
    context.method === 'POST' ? signOut(context) : ask(context)
}
