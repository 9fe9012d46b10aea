/** What each check saw of a request that passed it, in a few words. */
import { demandText } from '../../authorize/route-text.js'
import type { Principal } from '../../core/identity.js'
import { isRead } from '../../core/methods.js'
import type { RequestContext } from '../../request/context.js'
import type { Stages } from '../pipeline.js'
import type { Services } from '../services.js'

type Tell = (context: RequestContext, services: Services) => string

const who = ({ identity, via }: RequestContext): string => {
  if (via === undefined) return 'anonymous'
  if (via === 'legacy') return 'whoever Trac finds by HTTP Basic or trac_auth (legacyAuth)'
  if (via === 'webhook') return `${identity.principal.user}, if its signature is good`
  return `${identity.principal.user}, by ${via}`
}

/** Where somebody has the permissions from that a row asks for. */
function origins(names: readonly string[], { grants, permissions }: Principal): readonly string[] {
  return names.flatMap((name) => {
    const found =
      grants.find(({ action }) => action === name) ??
      (permissions.has('TRAC_ADMIN')
        ? grants.find(({ action }) => action === 'TRAC_ADMIN')
        : undefined)
    return found === undefined ? [] : [`${found.action} by ${found.from.join(', ')}`]
  })
}

const access: Tell = ({ route, identity, preflight, isLegacy }) => {
  if (preflight) return 'a preflight brings no credential'
  if (isLegacy) return 'not asked: Trac judges it by itself'
  const { anyPermission = [], allPermissions = [] } = route.require ?? {}
  const has = origins([...allPermissions, ...anyPermission], identity.principal)
  const asked = demandText(route)
  return has.length === 0 ? asked : `${asked} — ${has.join('; ')}`
}

const csrf: Tell = ({ identity, method }) => {
  if (identity.via !== 'session') return 'it does not ride on the session cookie'
  return isRead(method) ? 'it changes nothing' : 'it comes from a page of ours'
}

const rateLimit: Tell = ({ route }) =>
  route.rateLimit === undefined
    ? 'the route has none'
    : `${route.rateLimit.max} in ${route.rateLimit.per / 1000} s by ${route.rateLimit.by}`

const details: Readonly<Partial<Record<keyof Stages, Tell>>> = {
  framing: () => 'it can be read in one way',
  canonicalPath: ({ target }) => target.path,
  host: ({ headers }) => headers.host,
  scheme: ({ scheme, address }) => `${scheme ?? 'not known'}, from ${address}`,
  basePath: (_, { config }) => `below ${config.server.publicUrl.base}/`,
  ownMethod: ({ endpoint }) => endpoint.name,
  ownRateLimit: ({ endpoint }) => (endpoint.limit === 'none' ? 'it has none' : 'not reached'),
  ownCredential: (context) =>
    context.endpoint.credential === 'unread' ? 'it reads none' : who(context),
  ownPersonLimit: ({ endpoint }) =>
    endpoint.limit === 'principal' ? 'not reached' : 'it has none',
  matchRoute: ({ route, preflight, headers }) =>
    `${route.name}: ${route.path}${preflight ? `, as ${headers.preflightMethod}` : ''}`,
  answerMoved: () => 'the path names what is meant',
  answerPreflight: ({ preflight }) => (preflight ? 'the upstream answers it' : 'it is none'),
  authenticate: (context) => (context.preflight ? 'a preflight brings none' : who(context)),
  environment: ({ environment }) =>
    environment === undefined ? 'there is one' : `${environment.name}, by ${environment.key}`,
  rateLimit,
  csrf,
  access,
  answerSignIn: () => 'it is not Trac’s own login, or nobody has signed in',
  upgrades: ({ upgradeSocket }) =>
    upgradeSocket === undefined ? 'none is asked for' : 'a WebSocket, from our own origin',
  bodyLimits: ({ headers, route }) =>
    headers.contentLength > 0
      ? `${headers.contentLength} of ${route.bodyLimit} bytes`
      : `at most ${route.bodyLimit} bytes`,
}

/** What a check saw of a request that it let pass. */
export function passedDetail(name: string, context: RequestContext, services: Services): string {
  const tell = Object.hasOwn(details, name) ? details[name as keyof Stages] : undefined
  return tell?.(context, services) ?? ''
}
