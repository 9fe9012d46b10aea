/** The report of `doctor` as lines: what is good, what is bad and what to do, what was not tried and why. */
import type { Row } from '../app/doctor/row.js'
import type { Tone } from './command.js'

type Paint = (tone: Tone, text: string) => string

const marks: Readonly<Record<Row['outcome'], readonly [Tone, string]>> = {
  good: ['good', '✓'],
  bad: ['bad', '✗'],
  'not tried': ['dim', '–'],
}

/** Rows as lines; those of what is bad have three. */
function rowsText(rows: readonly Row[], paint: Paint): readonly string[] {
  const width = Math.max(...rows.map(({ check }) => check.length))
  const indent = ' '.repeat(width + 4)
  return rows.flatMap(({ check, outcome, found, wanted, todo }) => {
    const [tone, mark] = marks[outcome]
    const text = outcome === 'not tried' ? paint('dim', `not tried: ${found}`) : found
    return [
      `${paint(tone, mark)} ${check.padEnd(width)}  ${text}`,
      ...(wanted === undefined ? [] : [`${indent}wanted: ${wanted}`]),
      ...(todo === undefined ? [] : [`${indent}${paint('strong', `do: ${todo}`)}`]),
    ]
  })
}

/** The whole report, ended by how many are of each kind. */
export function reportLines(rows: readonly Row[], paint: Paint): readonly string[] {
  return [...rowsText(rows, paint), paint(...verdictOf(rows))]
}

/** How many are of each kind. */
function verdictOf(rows: readonly Row[]): readonly [Tone, string] {
  const count = (outcome: Row['outcome']) => rows.filter((row) => row.outcome === outcome).length
  const bad = count('bad')
  const text = `${count('good')} good, ${bad} bad, ${count('not tried')} not tried`
  return [bad === 0 ? 'good' : 'bad', text]
}
