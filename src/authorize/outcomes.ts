/** What may become of a request at a row, so that each of these is counted from 0 on. */
import type { ErrorCode } from '../core/errors.js'
import { credentialKinds } from '../core/identity.js'
import type { Route } from '../request/route.js'
import { noRoute } from '../request/route.js'
import { safeMethods } from './csrf.js'

/** A decision in one word. */
type Outcome = 'allow' | ErrorCode

/** The part of the requirement that can be missed. */
function missable({ require }: Route): readonly Outcome[] {
  if (require === undefined) return []
  const { anyPermission, allPermissions, anyGroup, scopes, somebody = false } = require
  const permissions = somebody || anyPermission !== undefined || allPermissions !== undefined
  return [
    ...(permissions ? (['ERR_PERMISSION_REQUIRED'] as const) : []),
    ...(anyGroup === undefined ? [] : (['ERR_GROUP_REQUIRED'] as const)),
    ...(scopes === undefined ? [] : (['ERR_SCOPE_REQUIRED'] as const)),
  ]
}

/** Decisions that the row can lead to by itself; a second object on the same page may add one of its own. */
export function outcomesOf(route: Route): readonly Outcome[] {
  if (route.name === noRoute.name) return ['ERR_ROUTE_UNKNOWN', 'ERR_METHOD_NOT_ALLOWED']
  if (route.access === 'deny') return ['ERR_ROUTE_DENIED']
  if (route.webhook !== undefined) return ['allow', ...missable(route)]
  const changes = route.methods === undefined || [...route.methods].some((m) => !safeMethods.has(m))
  const crossSite: readonly Outcome[] = changes ? ['ERR_CROSS_SITE'] : []
  if (route.access === 'public') return ['allow', ...crossSite]
  return [
    ...(['allow', 'ERR_LOGIN_REQUIRED'] as const),
    ...(route.credentials.size < credentialKinds.length
      ? (['ERR_CREDENTIAL_NOT_ACCEPTED'] as const)
      : []),
    ...missable(route),
    ...crossSite,
  ]
}
