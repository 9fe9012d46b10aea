/** `/auth/logout` and Trac's `/logout`: the session ends here first, then at the provider. */
import { GatewayError } from '../core/errors.js'
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import { deleteSession, readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import { isListFull } from '../session/revocations.js'
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
  /** Hears of each, and whether it holds everywhere. */
  readonly onLogout: (kind: 'session' | 'nobody', result: 'ok' | 'failed') => void
}

/** Builds the endpoint. POST ends the session; GET asks first, so that no link or image can sign anybody out. */
export function createLogout(parts: LogoutParts) {
  const { base, names, sessions } = parts

  const endSession = async (
    context: RequestContext,
    value: string,
  ): Promise<{ readonly out: WayOut; readonly isKept: boolean } | undefined> => {
    const session = await sessions.peek(value)
    if (session === undefined) return undefined
    const at = await parts.revocations.endingNow()
    // Before anything else: whatever happens at the provider, it is over here.
    const isKept = await sessions.end(session, at).then(
      () => true,
      (error: unknown) => {
        if (!isListFull(error)) throw error
        context.cause = (error as GatewayError).details.cause
        return false
      },
    )
    const out = await parts.providerLogout.end(session.record.refreshToken, at, (cause) => {
      context.cause ??= cause
    })
    return { out, isKept }
  }

  const failed = (error: unknown): never => {
    parts.onLogout('session', 'failed')
    throw error
  }

  const signOut = async (context: RequestContext): Promise<void> => {
    if (!parts.isSameOrigin(context)) throw new GatewayError('ERR_CROSS_SITE')
    const cookies = readCookies(context.headers.cookie, names)
    const hasCookie = cookies.sessionNames.length > 0
    const ended = hasCookie ? await endSession(context, cookies.session).catch(failed) : undefined
    const isKept = ended?.isKept ?? true
    const out = ended?.out
    context.setCookies = [
      ...deleteSession(names, cookies.sessionNames),
      ...parts.loopGuard.forget(cookies.attempts),
      markSignOut(names, isKept ? (out?.back ?? 'never') : 'never'),
    ]
    parts.onLogout(out === undefined ? 'nobody' : 'session', isKept ? 'ok' : 'failed')
    // Who believes to be signed out everywhere must be told if that is not so.
    if (!isKept)
      throw new GatewayError('ERR_REVOCATIONS_FULL', { detail: { text: 'detail.only_here' } })
    const headers = ['Location', out?.url ?? parts.signedOutUrl, ...clearCachedPages]
    parts.reply.send(context, 303, headers, '')
  }

  const ask = (context: RequestContext): Promise<void> => {
    const { user } = context.identity.principal
    return parts.logoutPage(context, ({ say }) => {
      const start = { label: say('action.start'), href: `${base}/` }
      return user === ''
        ? {
            title: say('sign_out.nobody.title'),
            paragraphs: [say('sign_out.nobody')],
            actions: [start],
          }
        : {
            title: say('sign_out.title'),
            paragraphs: [say('sign_out.ask', { user })],
            actions: [{ label: say('action.sign_out'), post: `${base}/auth/logout` }, start],
          }
    })
  }

  return (context: RequestContext): Promise<void> =>
    context.method === 'POST' ? signOut(context) : ask(context)
}
