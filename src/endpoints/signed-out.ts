/** `GET /auth/signed-out`: where a sign-out ends. */
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'

/** Pages that were shown to somebody must not come back by the Back button (Clear Site Data §3.1). */
export const clearCachedPages = ['Clear-Site-Data', '"cache"'] as const

/** Builds the endpoint. */
export function createSignedOut(base: string, reply: Reply) {
  const content = {
    title: 'Signed out',
    paragraphs: ['You are signed out.'],
    actions: [
      // The provider may still know the person, and the sign-in that ended must not come back.
      { label: 'Sign in again', href: `${base}/auth/login?prompt=login` },
      { label: 'Go to the start page', href: `${base}/` },
    ],
  }
  return (context: RequestContext): Promise<void> => {
    reply.page(context, 200, content, clearCachedPages)
    return Promise.resolve()
  }
}
