/** `GET /auth/session`: who am I, and what may I do, for a person and for a program (deploy/docs/reference/endpoints.md). */
import { GatewayError } from '../core/errors.js'
import { wantsPage } from '../edge/reply.js'
import type { BuildPage, Reply } from '../edge/reply.js'
import type { Identity } from '../core/identity.js'
import type { RequestContext } from '../request/context.js'
import type { EnvironmentAt } from '../request/environment.js'

/** What the endpoint needs. */
export interface SessionPageParts {
  readonly base: string
  readonly environmentAt: EnvironmentAt
  readonly page: (context: RequestContext, build: BuildPage) => Promise<void>
  readonly reply: Reply
}

/** What Trac is told of somebody, and why. */
const tell =
  ({ principal, via }: Identity, base: string, environment: string | undefined): BuildPage =>
  ({ say }) => {
    const { user, name, email, groups, leftOut, grants } = principal
    return {
      title: say('session.title', { user }),
      paragraphs: [say('session.about')],
      facts: [
        ...(environment === undefined ? [] : [[say('session.environment'), environment] as const]),
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
  const { base, environmentAt } = parts
  return (context: RequestContext): Promise<void> => {
    if (context.identity.via === undefined) throw new GatewayError('ERR_LOGIN_REQUIRED')
    const asked = new URLSearchParams(context.target.query).get('environment') ?? undefined
    const place = asked === undefined ? undefined : environmentAt(`/${asked}`)
    if (asked !== place?.name) throw new GatewayError('ERR_ROUTE_UNKNOWN')
    const identity = place?.identityOf(context.identity) ?? context.identity
    const { principal, via, expiresAt } = identity
    if (!wantsPage(context)) {
      parts.reply.json(context, 200, {
        user: principal.user,
        ...(asked === undefined ? {} : { environment: asked }),
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
    return parts.page(context, tell(identity, base, asked))
  }
}
