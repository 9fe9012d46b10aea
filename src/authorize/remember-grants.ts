/** Most people of a site are in one of a few combinations of groups: what such a one may do is worked out once. */
import { rememberLists } from '../core/remember-lists.js'
import type { Grants } from './grants.js'

/** Remembers what combinations of groups and claimed actions lead to: a pure function of the configuration. */
export function rememberGrants(grants: Grants): Grants {
  const remembered = rememberLists((groups: readonly string[], claimed: readonly string[]) =>
    Object.freeze(grants(groups, claimed)),
  )
  return (groups, claimed) => remembered([...groups], claimed)
}
