/** What a request asks of a file besides its name: whether it changed, or a part of it (RFC 9110 §13, §14). Pure. */

/** The fields, each empty if absent, or if it came twice where one is all there may be. */
export interface Conditions {
  readonly ifNoneMatch: string
  readonly ifModifiedSince: string
  readonly range: string
  readonly ifRange: string
}

type Draft = { -readonly [K in keyof Conditions]: Conditions[K] }

const keys: ReadonlyMap<string, keyof Conditions> = new Map<string, keyof Conditions>([
  ['if-none-match', 'ifNoneMatch'],
  ['if-modified-since', 'ifModifiedSince'],
  ['range', 'range'],
  ['if-range', 'ifRange'],
])

/** Reads them from the raw list. */
export function readConditions(raw: readonly string[]): Conditions {
  const read: Draft = { ifNoneMatch: '', ifModifiedSince: '', range: '', ifRange: '' }
  const seen = new Set<string>()
  for (let i = 0; i < raw.length; i += 2) {
    const key = keys.get(raw[i]!.toLowerCase())
    if (key === undefined) continue
    const isAgain = seen.has(key)
    seen.add(key)
    const value = raw[i + 1]!
    if (!isAgain) read[key] = value
    else read[key] = key === 'ifNoneMatch' ? `${read[key]}, ${value}` : ''
  }
  return read
}

const tags = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

/** Whether `If-None-Match` has a tag, compared weakly (RFC 9110 §13.1.2). */
export function hasTag(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch.trim() === '*') return true
  return (ifNoneMatch.match(tags) ?? []).some((tag) => tag.replace(/^W\//, '') === etag)
}

/** Whether nothing changed since then (RFC 9110 §13.1.3). */
export function isUnchangedSince(ifModifiedSince: string, lastModified: string): boolean {
  if (lastModified === '') return false
  return Date.parse(lastModified) <= Date.parse(ifModifiedSince)
}

/** Bytes from `start` up to and with `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

const single = /^bytes=(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/i

/**
 * The part that `Range` asks for. Several parts, other units and what can't be read ask for the whole (RFC 9110 §14.2).
 * @returns `unsatisfiable` where it begins behind the end
 */
export function rangeOf(range: string, length: number): ByteRange | 'whole' | 'unsatisfiable' {
  const [all, first, last, suffix] = single.exec(range.trim()) ?? []
  if (all === undefined) return 'whole'
  if (suffix !== undefined) {
    const count = Math.min(Number(suffix), length)
    return count === 0 ? 'unsatisfiable' : { start: length - count, end: length - 1 }
  }
  const start = Number(first)
  const end = Math.min(last === undefined ? length : Number(last), length - 1)
  if (last !== undefined && Number(last) < start) return 'whole'
  return start >= length ? 'unsatisfiable' : { start, end }
}

/** A date that says which version it is: the file may change twice in one second (RFC 9110 §8.8.2.2). */
const strongAfter = 1000

/** Whether `If-Range` lets a part be sent: it names this version, by a strong tag or an exact date (RFC 9110 §13.1.5). */
export function matchesIfRange(
  ifRange: string,
  etag: string,
  lastModified: string,
  checkedAt: number,
): boolean {
  if (ifRange === '' || ifRange === etag) return true
  const isStrong = checkedAt - Date.parse(lastModified) >= strongAfter
  return lastModified !== '' && ifRange === lastModified && isStrong
}
