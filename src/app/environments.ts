/** The environments of one configuration: what each principal may do in each, made once. */
import { anonymousPrincipal, limitGranted } from '../authenticate/principals.js'
import { anonymousGrants, createGrants } from '../authorize/grants.js'
import type { PermissionRules } from '../authorize/grants.js'
import type { Config } from '../config/schema.js'
import type { EnvironmentsConfig } from '../config/topics/environment-keys.js'
import type { Granted, Identity, Principal } from '../core/identity.js'
import { rememberLists } from '../core/remember-lists.js'
import { createEnvironmentAt, noEnvironments } from '../request/environment.js'
import type { EnvironmentAt, EnvironmentRules } from '../request/environment.js'
import { toIdentityHeaders, withPermissions } from '../trac/identity-headers.js'

type Overlay = EnvironmentsConfig[string]['permissions']

/** The common rules with what an environment says in their place, group by group. */
export function layOver(common: PermissionRules, overlay: Overlay): PermissionRules {
  return {
    groups: { ...common.groups, ...overlay.groups },
    authenticated: overlay.authenticated ?? common.authenticated,
    anonymous: overlay.anonymous ?? common.anonymous,
    fromClaims: overlay.fromClaims ?? common.fromClaims,
  }
}

/**
 * The rules for groups as a principal has them: those of further issuers with their prefix. Their claims grant nothing, and
 * the groups of one issuer are none of another's.
 */
export function commonRules({ permissions, identity }: Pick<Config, 'permissions' | 'identity'>) {
  const byIssuer = new Map<string, PermissionRules>([[identity.issuer, permissions]])
  for (const { issuer, prefix, groups } of identity.additionalIssuers) {
    const prefixed = Object.entries(groups).map(([name, actions]) => [prefix + name, actions])
    byIssuer.set(issuer, {
      ...permissions,
      groups: Object.fromEntries(prefixed) as PermissionRules['groups'],
      fromClaims: 'none',
    })
  }
  return byIssuer
}

/** What an environment says of the people of one issuer. */
function overlayFor(overlay: Overlay, prefix: string): Overlay {
  if (prefix === '') return overlay
  const groups = Object.entries(overlay.groups ?? {}).filter(([name]) => name.startsWith(prefix))
  return { ...overlay, groups: Object.fromEntries(groups), fromClaims: 'none' }
}

/** Compiles what each issuer's groups may do, by key and issuer. */
function rulesByKey(
  config: Config,
  named: EnvironmentsConfig,
  common: ReadonlyMap<string, PermissionRules>,
) {
  const prefixes = new Map(
    config.identity.additionalIssuers.map(({ issuer, prefix }) => [issuer, prefix]),
  )
  const grants = Object.entries(named).flatMap(([key, { permissions }]) =>
    [...common].map(([issuer, rules]) => {
      const overlay = overlayFor(permissions, prefixes.get(issuer) ?? '')
      return [JSON.stringify([key, issuer]), createGrants(layOver(rules, overlay))] as const
    }),
  )
  return new Map(grants)
}

/**
 * Finds environments by path, for a configuration that has some.
 * @param common what groups may do where an environment does not say otherwise, by issuer
 */
export function createEnvironments(
  config: Config,
  common: ReadonlyMap<string, PermissionRules> = commonRules(config),
): EnvironmentAt {
  const { environments: named, permissions } = config
  if (named === undefined) return noEnvironments
  const byKey = rulesByKey(config, named, common)
  // One memory for all environments: most people are in one of a few combinations of groups.
  const remembered = rememberLists(
    ([rules = '']: readonly string[], groups: readonly string[], claimed: readonly string[]) =>
      Object.freeze(byKey.get(rules)!(groups, claimed)),
  )
  const grantedIn = (key: string, { issuer, groups, claimed }: Principal): Granted =>
    remembered([JSON.stringify([key, issuer])], [...groups], claimed)
  return createEnvironmentAt(
    Object.entries(named).map(([key, { title, upstream, permissions: overlay }]) => {
      const rules = layOver(permissions, overlay)
      const anonymous: Identity = {
        principal: anonymousPrincipal(toIdentityHeaders, anonymousGrants(rules)),
        via: undefined,
        expiresAt: Number.POSITIVE_INFINITY,
        accessToken: undefined,
      }
      const principalOf = rememberPrincipals((principal) => grantedIn(key, principal))
      const identityOf: EnvironmentRules['identityOf'] = (identity) =>
        identity.via === undefined
          ? anonymous
          : { ...identity, principal: principalOf(identity.principal) }
      return { key, title, upstream, anonymous, identityOf }
    }),
  )
}

/** A principal with other permissions, made once for as long as the one it is made of is kept. */
function rememberPrincipals(
  grantedTo: (principal: Principal) => Granted,
): (principal: Principal) => Principal {
  const known = new WeakMap<Principal, Principal>()
  return (principal) => {
    const before = known.get(principal)
    if (before !== undefined) return before
    const granted = limitGranted(grantedTo(principal), principal.ceiling)
    const identityHeaders = withPermissions(principal.identityHeaders, granted.permissions)
    const made = Object.freeze({ ...principal, ...granted, identityHeaders })
    known.set(principal, made)
    return made
  }
}
