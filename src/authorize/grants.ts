/** Groups and claims become Trac actions, expanded as Trac expands them (deploy/docs/guides/permissions.md#permissions). */
import type { Grant } from '../core/identity.js'
import { actionPattern, expandActions, isAdministrative } from '../trac/permissions.js'

/** The part of the configuration that grants. */
export interface PermissionRules {
  readonly groups: Readonly<Record<string, readonly string[]>>
  readonly authenticated: readonly string[]
  readonly anonymous: readonly string[]
  readonly fromClaims: 'nonAdmin' | 'all' | 'none' | readonly string[]
}

/** What somebody may do, and why. */
export interface Granted {
  readonly permissions: ReadonlySet<string>
  readonly grants: readonly Grant[]
}

const action = new RegExp(actionPattern)

/** Which actions a `trac_permissions` claim may add. */
function claimFilter(rule: PermissionRules['fromClaims']): (name: string) => boolean {
  if (rule === 'all') return () => true
  if (rule === 'none') return () => false
  if (rule === 'nonAdmin') return (name) => !isAdministrative(name)
  const listed = new Set(rule)
  return (name) => listed.has(name)
}

/** Collects actions by source, then expands each source, so that the list says where each one came from. */
function collect(sources: readonly (readonly [string, readonly string[]])[]): Granted {
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
  return { permissions: new Set(grants.map((grant) => grant.action)), grants }
}

/** What a person or machine in these groups, with these claimed actions, may do. */
export type Grants = (groups: Iterable<string>, claimed: readonly string[]) => Granted

/** Compiles the rules of one issuer. */
export function createGrants(rules: PermissionRules): Grants {
  const mapping = new Map(Object.entries(rules.groups))
  const mayClaim = claimFilter(rules.fromClaims)
  return (groups, claimed) => {
    const sources: (readonly [string, readonly string[]])[] = [
      ['anonymous', rules.anonymous],
      ['authenticated', rules.authenticated],
    ]
    for (const group of groups) sources.push([`group:${group}`, mapping.get(group) ?? []])
    const extra = claimed.filter((name) => action.test(name) && mayClaim(name))
    // A listed meta action is granted whole; a claimed one may not smuggle in what the rule keeps out.
    const expanded = [...expandActions(extra)].filter(mayClaim)
    sources.push(['claim', typeof rules.fromClaims === 'string' ? expanded : extra])
    return collect(sources)
  }
}

/** What an anonymous visitor may do. */
export function anonymousGrants(rules: PermissionRules): Granted {
  return collect([['anonymous', rules.anonymous]])
}
