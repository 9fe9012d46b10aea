/** May this principal have this route? Pure, total, refuses unless a rule allows (deploy/docs/guides/permissions.md#routes). */
import type { ErrorCode } from '../core/errors.js'
import type { Identity, Principal, TokenFacts } from '../core/identity.js'
import type { Requirement, Route } from '../request/route.js'
import { anyView, mayView } from '../trac/permissions.js'
import { builtinPrefix, builtinRows } from '../trac/routes.js'

/** The answer, as data; `missing` names what the requirement wanted. */
export type Decision =
  | { readonly allow: true }
  | { readonly allow: false; readonly code: ErrorCode; readonly missing: readonly string[] }

const allowed: Decision = { allow: true }

function refuse(code: ErrorCode, missing: readonly string[] = []): Decision {
  return { allow: false, code, missing }
}

/** Whether a principal holds a permission; TRAC_ADMIN holds every one, plugins' own included. */
function holds({ permissions }: Principal, permission: string): boolean {
  if (permissions.has(permission) || permissions.has('TRAC_ADMIN')) return true
  return permission === anyView && mayView(permissions)
}

/** The first part of the requirement that is not met, if any. */
function unmet(require: Requirement, { principal, via }: Identity): Decision | undefined {
  const { anyPermission, allPermissions, anyGroup, scopes, somebody } = require
  if (somebody === true && via === undefined && !holds(principal, anyView)) {
    return refuse('ERR_PERMISSION_REQUIRED', [anyView])
  }
  if (anyPermission !== undefined && !anyPermission.some((name) => holds(principal, name))) {
    return refuse('ERR_PERMISSION_REQUIRED', anyPermission)
  }
  if (allPermissions !== undefined) {
    const missing = allPermissions.filter((name) => !holds(principal, name))
    if (missing.length > 0) return refuse('ERR_PERMISSION_REQUIRED', missing)
  }
  if (anyGroup !== undefined && !anyGroup.some((name) => principal.groups.has(name))) {
    return refuse('ERR_GROUP_REQUIRED', anyGroup)
  }
  if (scopes !== undefined) {
    const missing = scopes.filter((name) => !principal.scopes.has(name))
    if (missing.length > 0) return refuse('ERR_SCOPE_REQUIRED', missing)
  }
  return undefined
}

/** Whether a personal token, if one came, was made for this row. */
function isFor(token: TokenFacts | undefined, { name }: Route): boolean {
  if (token?.routes === undefined || token.routes.has(name)) return true
  return name.startsWith(builtinPrefix) && token.routes.has(builtinRows)
}

/**
 * Judges a matched route.
 * An anonymous visitor who misses something is asked to sign in, since signing in may mend it.
 */
export function decide(route: Route, identity: Identity): Decision {
  if (route.access === 'deny') return refuse('ERR_ROUTE_DENIED')
  if (route.access === 'public') return allowed
  const anonymous = identity.via === undefined
  if (!anonymous && !route.credentials.has(identity.via)) {
    return refuse('ERR_CREDENTIAL_NOT_ACCEPTED', [...route.credentials])
  }
  if (!isFor(identity.token, route)) return refuse('ERR_TOKEN_ROUTE', [route.name])
  if (anonymous && route.access === 'authenticated') return refuse('ERR_LOGIN_REQUIRED')
  const failed = route.require === undefined ? undefined : unmet(route.require, identity)
  if (failed === undefined) return allowed
  return anonymous ? refuse('ERR_LOGIN_REQUIRED') : failed
}
