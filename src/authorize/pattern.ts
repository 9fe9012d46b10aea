/** Path patterns: `*` is a non-empty segment or part of one, `**` any number of segments (deploy/docs/requests.md#routes). */

/** Whether a decoded path, below the base path, fits. */
export type Matcher = (path: string) => boolean

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
  const parts = pattern
    .slice(1)
    .split('/')
    .map((segment) => (segment === '**' ? '**' : segment.split('*')))
  return (path) => matchSegments(parts, path.slice(1).split('/'))
}

/** The literal first segment of a pattern, if every path that matches begins with it. */
export function firstSegment(pattern: string): string | undefined {
  const segment = pattern.slice(1).split('/', 1)[0]!
  return segment.includes('*') ? undefined : segment
}
