/**
 * What two path patterns have in common, told from their texts alone (deploy/docs/requests.md#routes): `*` is a non-empty
 * segment or part of one, `**` any number of segments.
 */

/** Stands for the characters that a `*` takes; in no path, since it is for private use. */
const some = '\ue000'

/** Whether a `*` text takes every text that another one stands for; where that can't be told, it does not. */
function segmentCovers(wide: string, narrow: string): boolean {
  if (!wide.includes('*')) return wide === narrow
  const parts = wide.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.+')}$`, 'su').test(narrow.replaceAll('*', some))
}

/** Whether there is a text that both take. */
function segmentsMeet(one: string, other: string): boolean {
  if (!one.includes('*')) return segmentCovers(other, one)
  if (!other.includes('*')) return segmentCovers(one, other)
  const [a = '', b = ''] = [one.split('*')[0], other.split('*')[0]]
  const [y = '', z = ''] = [one.split('*').at(-1), other.split('*').at(-1)]
  const heads = a.startsWith(b) || b.startsWith(a)
  return heads && (y.endsWith(z) || z.endsWith(y))
}

type Judge = (i: number, j: number) => boolean

/** Answers each question once: patterns with several `**` ask the same ones again and again. */
function remembered(judge: (i: number, j: number, again: Judge) => boolean): Judge {
  const known = new Map<string, boolean>()
  const again: Judge = (i, j) => {
    const key = `${i} ${j}`
    const before = known.get(key)
    if (before !== undefined) return before
    const answer = judge(i, j, again)
    known.set(key, answer)
    return answer
  }
  return again
}

const segmentsOf = (pattern: string): readonly string[] => pattern.slice(1).split('/')

/** Whether `wide` takes every path that `narrow` takes. Never true wrongly; false where it can't be told. */
export function patternCovers(wide: string, narrow: string): boolean {
  const [w, n] = [segmentsOf(wide), segmentsOf(narrow)]
  return remembered((i, j, again) => {
    if (i === w.length) return j === n.length
    if (w[i] === '**') return again(i + 1, j) || (j < n.length && again(i, j + 1))
    if (j === n.length || n[j] === '**') return false
    return segmentCovers(w[i]!, n[j]!) && again(i + 1, j + 1)
  })(0, 0)
}

/** Whether some path is taken by both. Never false wrongly. */
export function patternsMeet(one: string, other: string): boolean {
  const [a, b] = [segmentsOf(one), segmentsOf(other)]
  return remembered((i, j, again) => {
    if (i === a.length && j === b.length) return true
    if (a[i] === '**') return again(i + 1, j) || (j < b.length && again(i, j + 1))
    if (b[j] === '**') return again(i, j + 1) || (i < a.length && again(i + 1, j))
    if (i === a.length || j === b.length) return false
    return segmentsMeet(a[i]!, b[j]!) && again(i + 1, j + 1)
  })(0, 0)
}
