/** Most people of a site are in one of a few combinations of groups: what such a one may do is worked out once. */
import { LRUCache } from 'lru-cache'
import type { Granted } from '../core/identity.js'
import type { Grants } from './grants.js'

/** Combinations kept; beyond it the least used is worked out again. A few kilobytes each, where a site uses every action. */
const maxCombinations = 1000
/** Characters of a combination; a longer one is somebody's own, and not kept. */
const maxKey = 1000

/** Remembers what combinations of groups and claimed actions lead to: a pure function of the configuration. */
export function rememberGrants(grants: Grants): Grants {
  const known = new LRUCache<string, Granted>({ max: maxCombinations })
  return (groups, claimed) => {
    const list = [...groups]
    // As JSON, so that no name can read as two.
    const key = JSON.stringify([list, claimed])
    const before = known.get(key)
    if (before !== undefined) return before
    const granted = Object.freeze(grants(list, claimed))
    if (key.length <= maxKey) known.set(key, granted)
    return granted
  }
}
