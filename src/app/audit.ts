/** What the policy saw of a request, as an audit line tells it: groups, scopes, permissions, and what it asked of the query. */
import { fingerprint } from '../core/fingerprint.js'
import type { Principal } from '../core/identity.js'
import type { Route } from '../request/route.js'
import { readQuery } from '../trac/query.js'

/** What is told of a principal; made once for each. */
interface Told {
  readonly groups: readonly string[]
  readonly scopes: readonly string[]
  readonly permissions: string
}

/** Sets that many people share, in order, for as long as anybody has them. */
const lists = new WeakMap<ReadonlySet<string>, readonly string[]>()

function sorted(set: ReadonlySet<string>): readonly string[] {
  let list = lists.get(set)
  if (list === undefined) lists.set(set, (list = [...set].toSorted()))
  return list
}

/** Fingerprints whose permissions were told; beyond it the oldest is told again. */
const maxTold = 1000
/** Characters of a value of a query. */
export const maxValue = 200

/** Tells what the policy saw. */
export type Audit = ReturnType<typeof createAudit>

/** A set of permissions that was not told yet: what it is made of, and which names of the query its decisions are told with. */
export interface ToldGrants {
  readonly permissions: string
  readonly actions: readonly string[]
  readonly claimed: readonly string[]
  readonly queryNames: readonly string[]
}

/**
 * Builds it for the rows of one policy.
 * @param more names of the query besides those that rows ask for
 */
export function createAudit(
  routes: readonly Route[],
  more: readonly string[],
  onGrants: (grants: ToldGrants) => void,
) {
  const known = new WeakMap<Principal, Told>()
  const told = new Map<string, string>()
  const names = new Set([...more, ...routes.flatMap(({ query }) => [...(query?.keys() ?? [])])])
  const queryNames = [...names].toSorted()

  /** Tells it once. @returns the fingerprint, one in memory for all who have the same permissions */
  const tellGrants = (
    permissions: string,
    actions: readonly string[],
    claimed: readonly string[],
  ): string => {
    const before = told.get(permissions)
    if (before !== undefined) return before
    const [oldest] = told.keys()
    if (told.size >= maxTold && oldest !== undefined) told.delete(oldest)
    told.set(permissions, permissions)
    onGrants({ permissions, actions, claimed, queryNames })
    return permissions
  }

  return {
    of(principal: Principal): Told {
      const before = known.get(principal)
      if (before !== undefined) return before
      const actions = [...principal.permissions].toSorted()
      const claimed = principal.claimed.toSorted()
      // What is claimed may count for more under another policy, so it is told apart.
      const text = [actions.join(','), ...(claimed.length === 0 ? [] : [claimed.join(',')])]
      const permissions = fingerprint(text.join(' '), 'hex').slice(0, 16)
      const made = {
        groups: sorted(principal.groups),
        scopes: sorted(principal.scopes),
        permissions: tellGrants(permissions, actions, claimed),
      }
      known.set(principal, made)
      return made
    },
    /** Values of the names that rows ask for; undefined without any. */
    query(query: string): Readonly<Record<string, string>> | undefined {
      if (query === '' || names.size === 0) return undefined
      const values = [...readValues(query)].filter(([name]) => names.has(name))
      if (values.length === 0) return undefined
      return Object.fromEntries(values.map(([name, value]) => [name, value.slice(0, maxValue)]))
    },
  }
}

/** A query that Trac refuses has no values. */
function readValues(query: string): ReadonlyMap<string, string> {
  try {
    return readQuery(query)
  } catch {
    return new Map()
  }
}
