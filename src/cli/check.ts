/** `trac-gateway check`: says all that is wrong with a configuration, or worth a thought. */
import { loadConfig } from '../config/load.js'
import { ConfigProblems, formatProblem, formatWarning } from '../config/problems.js'
import type { Problem, Warning } from '../config/problems.js'
import type { Row } from '../app/doctor/row.js'
import type { Output, Tone } from './command.js'
import { reportLines } from './doctor-text.js'

/** How to answer, and what to take from the process. */
export interface CheckOptions {
  readonly json: boolean
  /** Whether what is only worth a thought counts as a problem. */
  readonly strict?: boolean
  readonly env: NodeJS.ProcessEnv
  /** Takes the text; standard output by default. */
  readonly print?: (text: string) => void
  /** Colours a part of the text; nothing is coloured by default. */
  readonly paint?: (tone: Tone, text: string) => string
}

/** What `check --json` prints. */
interface Findings {
  readonly file: string
  readonly problems: readonly Problem[]
  readonly warnings: readonly Warning[]
  /** What `doctor` sees, with `--online`. */
  readonly online?: readonly Row[]
}

/**
 * Checks a configuration as a start would, and starts nothing.
 * @returns the exit code: 0 when it can be started, 1 when not; warnings alone are 0, or 1 if `strict`
 */
export function check(path: string, options: CheckOptions): number {
  return tell(findingsOf(path, options.env).findings, options)
}

/**
 * The same, and what `doctor` can see without a person.
 * @returns 1 if something there is bad, too
 */
export async function checkOnline(
  path: string,
  options: CheckOptions,
  out: Output,
): Promise<number> {
  const { findings, config } = findingsOf(path, options.env)
  if (config === undefined) return tell(findings, options)
  const { examineUnattended } = await import('./doctor.js')
  return tell({ ...findings, online: await examineUnattended(config, out) }, options)
}

function tell(findings: Findings, options: CheckOptions): number {
  const { strict = false, paint = (_, part) => part } = options
  const text = options.json
    ? `${JSON.stringify(findings, undefined, 2)}\n`
    : toText(findings, strict, paint)
  const print = options.print ?? ((line) => void process.stdout.write(line))
  print(text)
  const { problems, warnings, online = [] } = findings
  const isGood =
    problems.length === 0 &&
    !(strict && warnings.length > 0) &&
    online.every(({ outcome }) => outcome !== 'bad')
  return isGood ? 0 : 1
}

/** What is to be said of a file; its configuration is undefined where it has problems. */
function findingsOf(file: string, env: NodeJS.ProcessEnv) {
  try {
    const { warnings, config } = loadConfig(file, { env })
    return { findings: { file, problems: [], warnings }, config }
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error
    const { problems, warnings } = error
    return { findings: { file, problems, warnings }, config: undefined }
  }
}

function adviceOf(warnings: readonly Warning[]): string {
  const names = [...new Set(warnings.map(({ name }) => name))].toSorted()
  return `, ${warnings.length} to think about; acknowledge: [${names.join(', ')}] in the file leaves them out`
}

/** The last line: what follows from all of it. */
function verdictOf({ file, problems, warnings }: Findings, strict: boolean): [Tone, string] {
  if (problems.length > 0) {
    const count = `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`
    return ['bad', `${file}: ${count}; nothing can be started with it`]
  }
  if (warnings.length === 0) return ['good', `${file}: ok`]
  const advice = adviceOf(warnings)
  return strict
    ? ['bad', `${file}: not ok with --strict${advice}`]
    : ['good', `${file}: ok${advice}`]
}

function toText(
  findings: Findings,
  strict: boolean,
  paint: NonNullable<CheckOptions['paint']>,
): string {
  const { online = [] } = findings
  const lines = [
    ...findings.problems.map((problem) => paint('bad', formatProblem(problem))),
    ...findings.warnings.map((warning) => `${paint('warn', 'warning:')} ${formatWarning(warning)}`),
    paint(...verdictOf(findings, strict)),
    ...(online.length === 0 ? [] : reportLines(online, paint)),
  ]
  return `${lines.join('\n')}\n`
}
