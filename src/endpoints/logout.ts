/** `/auth/logout`, Trac's `/logout` and `/auth/signed-out`: out here first, then at the provider (deploy/docs/sessions.md#sign-out). */
import { GatewayError } from '../core/errors.js'
import type { RequestContext } from '../request/context.js'
import type { Milliseconds } from '../core/clock.js'
import type { Endpoints, FindEndpoints } from '../oidc/provider.js'
import type { TokenClient } from '../oidc/tokens.js'
import type { PageContent } from '../edge/page.js'
import { deleteSession, readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import type { Sessions } from '../session/sessions.js'
import type { OpenSession } from '../session/open-session.js'
import type { TokenIdentifiers } from '../session/token-identifiers.js'
import type { TokenChecks } from '../sign-in/token-response.js'
import type { LoopGuard } from '../sign-in/loop-guard.js'

/** What sign-out needs. */
export interface LogoutParts {
  readonly base: string
  readonly clientId: string
  readonly signedOutUrl: string
  readonly endpoints: FindEndpoints
  readonly tokens: TokenClient
  readonly checks: TokenChecks
  readonly sessions: Sessions
  /** Ends whatever can be recognised by these traces. */
  readonly endSignIn: (identifiers: TokenIdentifiers) => Promise<void>
  readonly names: CookieNames
  readonly loopGuard: LoopGuard
  readonly maxTokenLife: Milliseconds
  readonly isSameOrigin: (context: RequestContext) => boolean
  readonly page: (
    context: RequestContext,
    status: number,
    content: PageContent,
    headers?: readonly string[],
  ) => void
  /** For the page that asks, which has a form. */
  readonly logoutPage: (context: RequestContext, content: PageContent) => Promise<void>
  readonly send: (
    context: RequestContext,
    status: number,
    headers: readonly string[],
    body: string,
  ) => void
  readonly onLogout: (kind: string) => void
  readonly onProviderFault: (context: RequestContext, cause: unknown) => void
}

/** How long the provider may keep somebody waiting who wants to leave. */
const timeout: Milliseconds = 3000

/** Pages that were shown to somebody must not come back by the Back button (Clear Site Data §3.1). */
const forgetPages = ['Clear-Site-Data', '"cache"'] as const

/** Resolves to undefined if the work fails or takes longer than the provider may take. */
export async function within<T>(
  work: Promise<T>,
  onFault: (cause: unknown) => void,
): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      onFault(new Error('the provider took too long'))
      resolve(undefined)
    }, timeout)
  })
  const done = work.catch((cause: unknown) => {
    onFault(cause)
    return undefined
  })
  return Promise.race([done, late]).finally(() => clearTimeout(timer))
}

/** Builds the endpoints. */
export function createLogout(parts: LogoutParts) {
  const { base } = parts

  /** Where the provider's own session is ended; a fresh ID token is the hint where one is wanted. */
  const providerUrl = (endpoints: Endpoints, idToken: string | undefined): string => {
    const { logout } = endpoints
    if (logout.kind === 'none') return parts.signedOutUrl
    const url = new URL(logout.endpoint)
    url.searchParams.set('client_id', parts.clientId)
    if (logout.kind === 'cognito') {
      url.searchParams.set('logout_uri', parts.signedOutUrl)
      return url.href
    }
    if (idToken !== undefined) url.searchParams.set('id_token_hint', idToken)
    url.searchParams.set('post_logout_redirect_uri', parts.signedOutUrl)
    return url.href
  }

  /** A fresh ID token as the hint, with the refresh token that counts once it was had. */
  const freshHint = async (refreshToken: string) => {
    const fresh = await parts.tokens.refresh(refreshToken)
    // The hint travels through the browser, and must be of no use here either.
    await parts.endSignIn(parts.checks.identifiersOf(fresh))
    return { idToken: fresh.idToken, refreshToken: fresh.refreshToken ?? refreshToken }
  }

  /**
   * Ends the sign-in at the provider as far as it lets us, and says where the browser goes for the rest.
   * What one of its endpoints fails to do is told, and no reason to leave the next one unasked.
   */
  const atProvider = async (
    refreshToken: string | undefined,
    onFault: (cause: unknown) => void,
  ): Promise<string> => {
    const endpoints = await parts.endpoints()
    if (refreshToken === undefined) return providerUrl(endpoints, undefined)
    const told = (cause: unknown): undefined => {
      onFault(cause)
    }
    const hint =
      endpoints.logout.kind === 'oidc' ? await freshHint(refreshToken).catch(told) : undefined
    const revoked = await parts.tokens.revoke(hint?.refreshToken ?? refreshToken).catch(told)
    if (revoked === false) onFault(new Error('the provider did not revoke the refresh token'))
    return providerUrl(endpoints, hint?.idToken)
  }

  const end = async (
    context: RequestContext,
    session: OpenSession | undefined,
  ): Promise<string> => {
    if (session === undefined) return parts.signedOutUrl
    // Before anything else: whatever happens at the provider, it is over here.
    await parts.sessions.end(session, parts.maxTokenLife)
    const onFault = (cause: unknown) => parts.onProviderFault(context, cause)
    const url = await within(atProvider(session.record.refreshToken, onFault), onFault)
    if (url !== undefined) return url
    const endpoints = await within(parts.endpoints(), onFault)
    return endpoints === undefined ? parts.signedOutUrl : providerUrl(endpoints, undefined)
  }

  const leave = async (context: RequestContext): Promise<void> => {
    if (!parts.isSameOrigin(context)) throw new GatewayError('ERR_CROSS_SITE')
    const cookies = readCookies(context.headers?.cookie ?? '', parts.names)
    const found =
      cookies.sessionNames.length === 0 ? undefined : await parts.sessions.peek(cookies.session)
    const location = await end(context, found)
    context.setCookies = [
      ...deleteSession(parts.names, cookies.sessionNames),
      ...parts.loopGuard.forget(cookies.attempts),
    ]
    parts.onLogout(found === undefined ? 'nobody' : 'session')
    parts.send(context, 303, ['Location', location, ...forgetPages], '')
  }

  const confirm = (context: RequestContext): Promise<void> => {
    const user = context.identity?.principal.user ?? ''
    return parts.logoutPage(context, {
      title: user === '' ? 'You are not signed in' : 'Sign out?',
      paragraphs:
        user === ''
          ? ['There is nothing to sign out of.']
          : [`You are signed in as ${user}. Signing out ends it here and at the sign-in provider.`],
      actions: [
        ...(user === '' ? [] : [{ label: 'Sign out', post: `${base}/auth/logout` }]),
        { label: 'Go to the start page', href: `${base}/` },
      ],
    })
  }

  return {
    /** POST ends the session; GET asks first, so that no link or image can sign anybody out. */
    async logout(context: RequestContext): Promise<void> {
      if (context.method === 'POST') await leave(context)
      else await confirm(context)
    },
    signedOut(context: RequestContext): Promise<void> {
      parts.page(
        context,
        200,
        {
          title: 'Signed out',
          paragraphs: ['You are signed out.'],
          actions: [
            // The provider may still know the person, and the sign-in that ended must not come back.
            { label: 'Sign in again', href: `${base}/auth/login?prompt=login` },
            { label: 'Go to the start page', href: `${base}/` },
          ],
        },
        forgetPages,
      )
      return Promise.resolve()
    },
  }
}
