/** `GET /auth/session`: who am I, and what may I do, for a person and for a program (deploy/docs/reference/endpoints.md). */
import { GatewayError } from '../core/errors.js'
import { wantsPage } from '../edge/reply.js'
import type { BuildPage, Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'

/** What the endpoint needs. */
export interface SessionPageParts {
  readonly base: string
  readonly page: (context: RequestContext, build: BuildPage) => Promise<void>
  readonly reply: Reply
}

/** What Trac is told of somebody, and why. */
const tell =
  ({ principal, via }: RequestContext['identity'], base: string): BuildPage =>
  ({ say }) => {
    const { user, name, email, groups, leftOut, grants } = principal
    return {
      title: say('session.title', { user }),
      paragraphs: [say('session.about')],
      facts: [
        [say('session.name'), name ?? say('session.no_name')],
        [say('session.email'), email ?? say('session.no_email')],
        [
          say('session.groups'),
          groups.size === 0 ? say('session.no_groups') : [...groups].join(', '),
        ],
        // What a claim names in vain.
        ...(leftOut.length === 0 ? [] : [[say('session.left_out'), leftOut.join(', ')] as const]),
      ],
      sections: [
        {
          title: say('session.permissions'),
          facts: grants.map(({ action, from }) => [
            action,
            say('session.from', { sources: from.join(', ') }),
          ]),
        },
      ],
      actions: [
        { label: say('action.start'), href: `${base}/` },
        ...(via === 'session'
          ? [{ label: say('action.sign_out'), post: `${base}/auth/logout` }]
          : []),
      ],
    }
  }

/** Builds the endpoint. */
export function createSessionPage(parts: SessionPageParts) {
  return (context: RequestContext): Promise<void> => {
    const { identity } = context
    if (identity.via === undefined) throw new GatewayError('ERR_LOGIN_REQUIRED')
    const { principal, via, expiresAt } = identity
    if (!wantsPage(context)) {
      parts.reply.json(context, 200, {
        user: principal.user,
        email: principal.email ?? null,
        name: principal.name ?? null,
        groups: [...principal.groups],
        permissions: principal.grants,
        ...(principal.leftOut.length === 0 ? {} : { left_out: principal.leftOut }),
        via,
        expires_at: Math.floor(expiresAt / 1000),
      })
      return Promise.resolve()
    }
    return parts.page(context, tell(identity, parts.base))
  }
}
