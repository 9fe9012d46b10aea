/** `GET /auth/session`: who am I, and what may I do, for a person and for a program (deploy/docs/reference/endpoints.md). */
import { GatewayError } from '../core/errors.js'
import { wantsPage } from '../edge/reply.js'
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import type { PageContent } from '../edge/page.js'

/** What the endpoint needs. */
export interface SessionPageParts {
  readonly base: string
  readonly page: (context: RequestContext, content: PageContent) => Promise<void>
  readonly reply: Reply
}

/** What a claim names in vain. */
const leftOutFact = (names: readonly string[]): readonly (readonly [string, string])[] =>
  names.length === 0 ? [] : [['Claimed, and not granted', names.join(', ')]]

/** Builds the endpoint. */
export function createSessionPage(parts: SessionPageParts) {
  return (context: RequestContext): Promise<void> => {
    const { identity } = context
    if (identity.via === undefined) throw new GatewayError('ERR_LOGIN_REQUIRED')
    const { principal, via, expiresAt } = identity
    const groups = [...principal.groups]
    if (!wantsPage(context)) {
      parts.reply.json(context, 200, {
        user: principal.user,
        email: principal.email ?? null,
        name: principal.name ?? null,
        groups,
        permissions: principal.grants,
        ...(principal.leftOut.length === 0 ? {} : { left_out: principal.leftOut }),
        via,
        expires_at: Math.floor(expiresAt / 1000),
      })
      return Promise.resolve()
    }
    return parts.page(context, {
      title: `Signed in as ${principal.user}`,
      paragraphs: [
        'This is what Trac is told about you. Permissions can differ between tokens: an access token may lack the claim that adds some.',
      ],
      facts: [
        ['Name', principal.name ?? 'not known'],
        ['E-mail', principal.email ?? 'not known, or not verified'],
        ['Groups', groups.length === 0 ? 'none that count here' : groups.join(', ')],
        ...leftOutFact(principal.leftOut),
      ],
      sections: [
        {
          title: 'Permissions',
          facts: principal.grants.map(({ action, from }) => [action, `by ${from.join(', ')}`]),
        },
      ],
      actions: [
        { label: 'Go to the start page', href: `${parts.base}/` },
        ...(via === 'session' ? [{ label: 'Sign out', post: `${parts.base}/auth/logout` }] : []),
      ],
    })
  }
}
