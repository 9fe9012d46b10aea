/** `trac-gateway check`: says all that is wrong with a configuration, or worth a thought. */
import { loadConfig } from '../config/load.js'
import { ConfigProblems, formatProblem, formatWarning } from '../config/problems.js'
import type { Problem, Warning } from '../config/problems.js'

/** How to answer, and what to take from the process. */
export interface CheckOptions {
  readonly json: boolean
  readonly env: NodeJS.ProcessEnv
  /** Takes the text; standard output by default. */
  readonly print?: (text: string) => void
}

/** What `check --json` prints. */
interface Findings {
  readonly file: string
  readonly problems: readonly Problem[]
  readonly warnings: readonly Warning[]
}

/**
 * Checks a configuration as a start would, and starts nothing.
 * @returns the exit code: 0 when it can be started, 1 when not; warnings alone are 0
 */
export function check(path: string, options: CheckOptions): number {
  const findings = findingsOf(path, options.env)
  const text = options.json ? `${JSON.stringify(findings, undefined, 2)}\n` : toText(findings)
  const print = options.print ?? ((line) => void process.stdout.write(line))
  print(text)
  return findings.problems.length === 0 ? 0 : 1
}

function findingsOf(file: string, env: NodeJS.ProcessEnv): Findings {
  try {
    return { file, problems: [], warnings: loadConfig(file, { env }).warnings }
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error
    return { file, problems: error.problems, warnings: error.warnings }
  }
}

function adviceOf(warnings: readonly Warning[]): string {
  const names = [...new Set(warnings.map(({ name }) => name))].toSorted()
  return `, ${warnings.length} to think about; acknowledge: [${names.join(', ')}] in the file leaves them out`
}

function toText({ file, problems, warnings }: Findings): string {
  const lines = [
    ...problems.map(formatProblem),
    ...warnings.map((warning) => `warning: ${formatWarning(warning)}`),
    problems.length === 0
      ? `${file}: ok${warnings.length === 0 ? '' : adviceOf(warnings)}`
      : `${file}: ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}; nothing can be started with it`,
  ]
  return `${lines.join('\n')}\n`
}
