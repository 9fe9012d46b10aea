/** What follows from lists of texts that many people have alike, such as their groups: made once, and one in memory for all. */
import { LRUCache } from 'lru-cache'

/** Results kept; beyond it the least used is made again. */
const maxKept = 1000
/** Characters of the lists together; longer ones are somebody's own, and not kept. */
const maxKey = 1000

/** Remembers what a pure function makes of lists. Nobody changes what it gives, of a few kilobytes at most each. */
export function rememberLists<Lists extends readonly (readonly string[])[], T extends object>(
  make: (...lists: Lists) => T,
): (...lists: Lists) => T {
  const known = new LRUCache<string, T>({ max: maxKept })
  return (...lists) => {
    // As JSON, so that no text can read as two.
    const key = JSON.stringify(lists)
    const before = known.get(key)
    if (before !== undefined) return before
    const made = make(...lists)
    if (key.length <= maxKey) known.set(key, made)
    return made
  }
}

/** The set of these texts, one in memory for all who ask for it; nobody changes it. */
export const sharedSet: (texts: readonly string[]) => ReadonlySet<string> = rememberLists(
  (texts: readonly string[]) => new Set(texts),
)
