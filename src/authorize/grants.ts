/** Groups and claims become Trac actions, expanded as Trac expands them (deploy/docs/guides/permissions.md#permissions). */
import type { Granted } from '../core/identity.js'
import { actionPattern, expandActions, isAdministrative, tracActions } from '../trac/permissions.js'

/** The part of the configuration that grants. */
export interface PermissionRules {
  readonly groups: Readonly<Record<string, readonly string[]>>
  readonly authenticated: readonly string[]
  readonly anonymous: readonly string[]
  readonly fromClaims: 'nonAdmin' | 'all' | 'none' | readonly string[]
}

const action = new RegExp(actionPattern)

/** Trac's own actions that govern nothing and carry nothing that does. A plugin's could be made of any other in Trac. */
const isNonAdmin = (name: string): boolean =>
  Object.hasOwn(tracActions, name) && !isAdministrative(name)

/** Which actions a `trac_permissions` claim may add, each with all that it carries. */
function claimFilter(rule: PermissionRules['fromClaims']): (name: string) => boolean {
  if (rule === 'all') return () => true
  if (rule === 'none') return () => false
  if (rule === 'nonAdmin') return isNonAdmin
  const listed = new Set(rule)
  return (name) => listed.has(name) || (listed.has('nonAdmin') && isNonAdmin(name))
}

/** Why `permissions.fromClaims` leaves a claimed action out, in words; undefined if it does not. */
export function whyLeftOut(rule: PermissionRules['fromClaims'], name: string): string | undefined {
  if (!action.test(name)) return 'it is not written like a permission, such as WIKI_VIEW'
  if (claimFilter(rule)(name)) return undefined
  if (rule === 'none') return 'permissions.fromClaims: none'
  const isKnown = Object.hasOwn(tracActions, name)
  const why = isKnown
    ? 'it is for administrators'
    : 'Trac itself does not know it, and a plugin could make anything of it'
  return typeof rule === 'string'
    ? `permissions.fromClaims: ${rule}, and ${why}`
    : `permissions.fromClaims does not list it`
}

/** Collects actions by source, then expands each source, so that the list says where each one came from. */
function collect(
  sources: readonly (readonly [string, readonly string[]])[],
  claimed: readonly string[] = [],
  leftOut: readonly string[] = [],
): Granted {
  const from = new Map<string, string[]>()
  for (const [source, actions] of sources) {
    for (const name of expandActions(actions)) {
      const list = from.get(name)
      if (list === undefined) from.set(name, [source])
      else list.push(source)
    }
  }
  const grants = [...from].map(([name, list]) => ({ action: name, from: list }))
  grants.sort((a, b) => (a.action < b.action ? -1 : 1))
  const permissions = new Set(grants.map((grant) => grant.action))
  return { permissions, grants, claimed, leftOut }
}

/** What a person or machine in these groups, with these claimed actions, may do. */
export type Grants = (groups: Iterable<string>, claimed: readonly string[]) => Granted

/** Compiles the rules of one issuer; `onLeftOut` hears of each claimed action that they leave out. */
export function createGrants(
  rules: PermissionRules,
  onLeftOut: (action: string) => void = () => undefined,
): Grants {
  const mapping = new Map(Object.entries(rules.groups))
  const mayClaim = claimFilter(rules.fromClaims)
  return (groups, claimed) => {
    const sources: (readonly [string, readonly string[]])[] = [
      ['anonymous', rules.anonymous],
      ['authenticated', rules.authenticated],
    ]
    for (const group of groups) sources.push([`group:${group}`, mapping.get(group) ?? []])
    const actions = claimed.filter((name) => action.test(name))
    sources.push(['claim', actions.filter(mayClaim)])
    const leftOut = actions.filter((name) => !mayClaim(name))
    for (const name of leftOut) onLeftOut(name)
    return collect(sources, actions, leftOut)
  }
}

/** What an anonymous visitor may do. */
export function anonymousGrants(rules: PermissionRules): Granted {
  return collect([['anonymous', rules.anonymous]])
}
