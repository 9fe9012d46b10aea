/** Sets of texts that many people have alike, such as their groups: one in memory for all of them. */
import { LRUCache } from 'lru-cache'

/** Sets kept, of a few hundred bytes each; beyond it the least used is made again. */
const maxSets = 1000
/** Characters of a set; a larger one is somebody's own, and not kept. */
const maxKey = 1000

const known = new LRUCache<string, ReadonlySet<string>>({ max: maxSets })

/** The set of these texts; nobody changes it. */
export function sharedSet(texts: readonly string[]): ReadonlySet<string> {
  // As JSON, so that no text can read as two.
  const key = JSON.stringify(texts)
  const before = known.get(key)
  if (before !== undefined) return before
  const set = new Set(texts)
  if (key.length <= maxKey) known.set(key, set)
  return set
}
