/** `GET /auth/signed-out`: where a sign-out ends. */
import type { BuildPage, Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import { readCookies } from '../session/cookies.js'
import type { CookieNames } from '../session/cookies.js'
import { comesFromProvider, forgetSignOut } from '../sign-in/sign-out-mark.js'
import { parameter } from './login.js'

/** Pages that were shown to somebody must not come back by the Back button (Clear Site Data §3.1). */
export const clearCachedPages = ['Clear-Site-Data', '"cache"'] as const

/** What the page needs. */
export interface SignedOutParts {
  readonly base: string
  readonly names: CookieNames
  readonly reply: Reply
}

/** Builds the endpoint. Whoever comes from the provider's log-out has nothing left there that would sign them in again. */
export function createSignedOut({ base, names, reply }: SignedOutParts) {
  const build: BuildPage = ({ say }) => ({
    title: say('signed_out.title'),
    paragraphs: [say('signed_out.done')],
    actions: [
      // The provider may still know the person, and the sign-in that ended must not come back.
      { label: say('action.sign_in_again'), href: `${base}/auth/login?prompt=login` },
      { label: say('action.start'), href: `${base}/` },
    ],
  })
  return (context: RequestContext): Promise<void> => {
    const { headers } = context
    const cookies = readCookies(headers.cookie, names)
    const state = parameter(context, 'state')
    if (comesFromProvider(cookies.signOut, state, headers.fetchSite)) {
      context.setCookies = [...context.setCookies, ...forgetSignOut(names, cookies)]
    }
    // Whoever has the page, in a bookmark or on a shared screen, has no use for what it was reached by.
    if (state !== '') reply.redirect(context, 303, `${base}/auth/signed-out`)
    else reply.page(context, 200, build, clearCachedPages)
    return Promise.resolve()
  }
}
