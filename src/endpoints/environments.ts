/** The base path of several environments: a list of those that whoever asks may enter (deploy/docs/guides/many-environments.md). */
import { decide } from '../authorize/decide.js'
import type { Router } from '../authorize/router.js'
import type { EnvironmentsConfig } from '../config/topics/environment-keys.js'
import type { Identity, Principal } from '../core/identity.js'
import { wantsPage } from '../edge/reply.js'
import type { BuildPage, Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'
import { environmentLink, isEnvironmentPattern } from '../request/environment.js'
import type { Environment, EnvironmentAt } from '../request/environment.js'
import type { SendLogoutPage } from './logout-page.js'

/** What the list needs. */
export interface EnvironmentListParts {
  readonly base: string
  /** `server.publicUrl`. */
  readonly url: string
  readonly environments: EnvironmentsConfig
  readonly environmentAt: EnvironmentAt
  readonly router: Router
  /** For a page with a button that signs out. */
  readonly page: SendLogoutPage
  readonly reply: Reply
}

/** One line of the list. */
interface Listed {
  readonly name: string
  readonly title: string
  readonly path: string
}

/** Whether the policy lets somebody see the start page of an environment. */
function mayEnter(router: Router, environment: Environment, identity: Identity): boolean {
  const { route } = router('GET', `${environment.prefix}/`, '')
  if (route === undefined) return false
  const who = route.upstream === 'trac' ? environment.identityOf(identity) : identity
  if (decide(route, who).allow) return true
  return route.mode === 'shadow' && route.access !== 'deny'
}

/** Builds what each person is shown; found out once for each, by each kind of credential. */
function createLister({ environments, environmentAt, router, base }: EnvironmentListParts) {
  const named = Object.entries(environments)
    .filter(([name]) => !isEnvironmentPattern(name))
    .map(([name, { title = name }]) => ({ name, title, path: environmentLink(base, `/${name}`) }))
    .toSorted((one, other) => one.title.localeCompare(other.title))
  const known = new WeakMap<Principal, Map<string, readonly Listed[]>>()
  return (identity: Identity): readonly Listed[] => {
    const { principal, via = 'none' } = identity
    const byVia = known.get(principal) ?? new Map<string, readonly Listed[]>()
    known.set(principal, byVia)
    const before = byVia.get(via)
    if (before !== undefined) return before
    const open = named.filter(({ name }) => {
      const environment = environmentAt(`/${name}`)
      return environment !== undefined && mayEnter(router, environment, identity)
    })
    byVia.set(via, open)
    return open
  }
}

const tell =
  (base: string, list: readonly Listed[], { principal, via }: Identity): BuildPage =>
  ({ say }) => {
    const isNobody = via === undefined
    const returnTo = encodeURIComponent(`${base}/`)
    return {
      title: say('environments.title'),
      paragraphs: [
        say(list.length === 0 ? 'environments.none' : 'environments.open'),
        ...(isNobody ? [say('environments.sign_in')] : []),
      ],
      links: list.map(({ title, path }) => ({ label: title, href: path })),
      facts: isNobody ? [] : [[say('error.signed_in_as'), principal.user]],
      actions: [
        ...(isNobody
          ? [{ label: say('action.sign_in'), href: `${base}/auth/login?return_to=${returnTo}` }]
          : []),
        ...(via === 'session'
          ? [{ label: say('action.sign_out'), post: `${base}/auth/logout` }]
          : []),
      ],
    }
  }

/** Builds the endpoint. Environments that only a pattern names are not known here, and not on the list. */
export function createEnvironmentList(parts: EnvironmentListParts) {
  const { base, url, reply } = parts
  const origin = url.slice(0, url.length - base.length)
  const listFor = createLister(parts)
  return (context: RequestContext): Promise<void> => {
    const { identity } = context
    const list = listFor(identity)
    if (wantsPage(context)) return parts.page(context, tell(base, list, identity))
    const environments = list.map(({ name, title, path }) => ({ name, title, url: origin + path }))
    reply.json(context, 200, { environments })
    return Promise.resolve()
  }
}
