/** What can be wrong in gateway.yaml: one problem, all of them together, and the words they use. */

/** Where a key stands, from the top: `['routes', 2, 'require', 'anyGroup']`. */
export type Path = readonly (string | number)[]

/** A place in the file; both count from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** One mistake, or one thing to think about: where, what was found, what was wanted. */
export interface Problem extends Place {
  /** The file as it was named. */
  readonly file: string
  /** The key as the file and the code spell it: `routes[2].require.anyGroup`; empty for the file. */
  readonly path: string
  readonly found: string
  readonly wanted: string
}

/** One thing to think about, with the name that `acknowledge` takes. */
export interface Warning extends Problem {
  readonly name: string
}

/** Takes a problem; the place is that of the path, or of the nearest key above it. */
export type Report = (path: Path, found: string, wanted: string, place?: Place) => void

/** One problem as one line of text. */
export function formatProblem({ file, line, column, path, found, wanted }: Problem): string {
  const where = `${file}:${line}:${column}${path === '' ? '' : ` ${path}`}`
  return `${where}: found ${found}; wanted ${wanted}`
}

/** One warning as one line of text. */
export function formatWarning(warning: Warning): string {
  return `${formatProblem(warning)} [${warning.name}]`
}

/** Thrown by the loader with every problem of the file at once, in the order of the file; its message has a line for each. */
export class ConfigProblems extends Error {
  readonly problems: readonly Problem[]
  readonly warnings: readonly Warning[]

  constructor(problems: readonly Problem[], warnings: readonly Warning[] = []) {
    super(problems.map(formatProblem).join('\n'))
    this.name = 'ConfigProblems'
    this.problems = problems
    this.warnings = warnings
  }
}

/** A path as text: `routes[2].require`, `identity.machines["9 x"].scopes`. */
export function formatPath(path: Path): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (/^[\w-]+$/.test(part)) text += text === '' ? part : `.${part}`
    else text += `[${JSON.stringify(part)}]`
  }
  return text
}

/** The longest value that a problem shows; longer ones are cut. */
const maxShownLength = 60

/** A value as a problem shows it: short, on one line, never a whole list or map. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'an empty value'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object') return 'keys and values'
  const text = JSON.stringify(value) ?? 'something else'
  return text.length <= maxShownLength ? text : `${text.slice(0, maxShownLength)}…`
}

/** Number of single-character edits between two words; two neighbours that changed places are one (Damerau). */
function distance(from: string, to: string): number {
  let before: number[] = []
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < to.length; j++) {
      const change = (row[j] ?? 0) + (from[i] === to[j] ? 0 : 1)
      const isSwap = i > 0 && j > 0 && from[i] === to[j - 1] && from[i - 1] === to[j]
      const swap = isSwap ? (before[j - 1] ?? 0) + 1 : Number.POSITIVE_INFINITY
      next.push(Math.min(change, swap, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    before = row
    row = next
  }
  return row.at(-1) ?? 0
}

const lettersOf = (text: string): string => text.replaceAll(/[-_ ]/g, '').toLowerCase()

/** The known word that was probably meant, or undefined; `client_id` means `clientId`. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 64) return undefined
  const ranked = known
    .map((candidate) => ({ candidate, far: distance(lettersOf(word), lettersOf(candidate)) }))
    .toSorted((a, b) => a.far - b.far)
  const [best] = ranked
  return best !== undefined && best.far <= Math.max(1, Math.floor(best.candidate.length / 3))
    ? best.candidate
    : undefined
}
