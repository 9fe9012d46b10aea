/** Path patterns: `*` is a non-empty segment or part of one, `**` any number of segments (deploy/docs/requests.md#routes). */

/** Whether a decoded path, below the base path, fits; `segments` are its own, where somebody has split it already. */
export type Matcher = (path: string, segments?: readonly string[]) => boolean

/** What stands between the slashes of a path or pattern. */
export function segmentsOf(path: string): readonly string[] {
  // As `split` does, which looks for the path among those that it has taken apart before.
  const segments: string[] = []
  for (let from = 1; ;) {
    const to = path.indexOf('/', from)
    if (to < 0) {
      segments.push(path.slice(from))
      return segments
    }
    segments.push(path.slice(from, to))
    from = to + 1
  }
}

/** Whether `text` fits `parts` joined by `*`, each `*` standing for at least one character. */
function matchSegment(parts: readonly string[], text: string): boolean {
  const first = parts[0]!
  if (parts.length === 1) return text === first
  const last = parts[parts.length - 1]!
  if (!text.startsWith(first)) return false
  let from = first.length
  const end = text.length - last.length
  for (let i = 1; i < parts.length - 1; i++) {
    const found = text.indexOf(parts[i]!, from + 1)
    if (found < 0) return false
    from = found + parts[i]!.length
  }
  return from < end && text.endsWith(last)
}

/** The greedy glob walk: on a mismatch only the last `**` takes one segment more, so time is bounded by n·m. */
function matchSegments(
  pattern: readonly (readonly string[] | '**')[],
  segments: readonly string[],
): boolean {
  let p = 0
  let s = 0
  let star = -1
  let resume = 0
  while (s < segments.length) {
    const wanted = pattern[p]
    if (wanted === '**') {
      star = p++
      resume = s
    } else if (wanted !== undefined && matchSegment(wanted, segments[s]!)) {
      p++
      s++
    } else if (star >= 0) {
      p = star + 1
      s = ++resume
    } else {
      return false
    }
  }
  while (pattern[p] === '**') p++
  return p === pattern.length
}

/**
 * Compiles a pattern that begins with `/`. A trailing slash counts, and `/api/**` also matches `/api`.
 * The common shapes (a literal, a literal before `/**`) become plain text comparisons.
 */
export function compilePattern(pattern: string): Matcher {
  if (!pattern.includes('*')) return (path) => path === pattern
  const prefix = pattern.endsWith('/**') ? pattern.slice(0, -3) : undefined
  if (prefix !== undefined && !prefix.includes('*')) {
    const below = `${prefix}/`
    return (path) => path === prefix || path.startsWith(below)
  }
  const parts = segmentsOf(pattern).map((segment) => (segment === '**' ? '**' : segment.split('*')))
  return (path, segments = segmentsOf(path)) => matchSegments(parts, segments)
}

/** A segment that every path has which fits: `at` counts from 0 at the beginning, and from -1 at the end. */
export interface LiteralSegment {
  readonly at: number
  readonly text: string
}

/** The literal segments of a pattern whose place is known: those before its first `**`, and those after its last one. */
export function literalSegments(pattern: string): readonly LiteralSegment[] {
  const segments = segmentsOf(pattern)
  const first = segments.indexOf('**')
  const last = segments.lastIndexOf('**')
  return segments.flatMap((text, i) => {
    if (text.includes('*') || (i > first && i < last)) return []
    return [{ at: first < 0 || i < first ? i : i - segments.length, text }]
  })
}
