/** Runs a program in Trac, by the Python that it runs on: every database, plugin and inherited file counts as it does there. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Stands before the answer: plugins may print, too. */
const mark = 'trac-gateway answers: '

/** No Python here has Trac, or Trac could not be asked; the text says what to type. */
export class NoTrac extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'NoTrac'
  }
}

/** What is run. */
export interface TracProgram {
  /** The environment's folder. */
  readonly environment: string
  /** For Python 2.7 and 3. It gets the environment, a mark and the parameters, and prints a line: the mark and JSON. */
  readonly script: string
  readonly parameters?: readonly string[]
  /** What it reads from standard input. */
  readonly input?: string
  /** What else could be typed where no Python has Trac. */
  readonly otherwise: string
}

/** Which Python, or where it is looked for. */
export interface PythonChoice {
  readonly python: string | undefined
  readonly env: NodeJS.ProcessEnv
}

/** The Python that runs `trac-admin`, by its first line. */
function pythonOfTracAdmin(path: string): readonly string[] {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    try {
      const [first = ''] = readFileSync(join(folder, 'trac-admin'), 'utf8').split('\n', 1)
      const program = /^#!\s*(\/\S+)$/.exec(first.trimEnd())?.[1]
      return program === undefined ? [] : [program]
    } catch {
      // Not in this folder.
    }
  }
  return []
}

/** No connection came: Trac's pool says only that, and Python 3 says before it what the driver found. */
const isNoConnection = (words: string): boolean => words.startsWith('trac.db.pool.TimeoutError')

/** What a Python said at its end: its error, and the one that led to it where Trac hides that. */
function lastWords(error: unknown): string {
  const said = (error as { readonly stderr?: string }).stderr || (error as Error).message
  const lines = said.trim().split('\n')
  const last = lines.at(-1) ?? ''
  const cause = lines.filter((line) => /^[\w.]+: /.test(line)).at(-2)
  return isNoConnection(last) && cause !== undefined ? `${last} ${cause}` : last
}

async function runScript(python: string, program: TracProgram, env: NodeJS.ProcessEnv) {
  const { environment, script, parameters = [], input = '' } = program
  const running = run(python, ['-c', script, environment, mark, ...parameters], {
    env: { ...env, PYTHONIOENCODING: 'utf-8', PYTHONDONTWRITEBYTECODE: '1' },
    maxBuffer: 256 * 1024 * 1024,
    timeout: 300_000,
  })
  // Who ends before it has read all says why in its own words.
  running.child.stdin?.on('error', () => {})
  running.child.stdin?.end(input)
  const { stdout } = await running
  const line = stdout.split('\n').find((text) => text.startsWith(mark))
  if (line === undefined) throw new Error(`${python} said nothing of Trac`)
  return JSON.parse(line.slice(mark.length)) as unknown
}

/** Finds a Python that has Trac, and has it run the program; `A` is what that prints. @throws NoTrac */
export async function runInTrac<A>(
  program: TracProgram,
  { python, env }: PythonChoice,
): Promise<A> {
  const byHand = `wanted a Python that has Trac and the driver of its database (--python), or ${program.otherwise}`
  const byDatabase = `wanted Trac's database, as trac.ini names it, to take its user from here; or ${program.otherwise}`
  const candidates =
    python === undefined
      ? [...pythonOfTracAdmin(env['PATH'] ?? ''), 'python3', 'python', 'python2']
      : [python]
  const tried: string[] = []
  for (const candidate of candidates) {
    try {
      return (await runScript(candidate, program, env)) as A
    } catch (error) {
      const words = lastWords(error)
      const lacksTrac = /No module named '?trac\b/.test(words) || /ENOENT/.test(words)
      if (!lacksTrac)
        throw new NoTrac(
          `${candidate}: found ${words}; ${isNoConnection(words) ? byDatabase : byHand}`,
        )
      tried.push(candidate)
    }
  }
  throw new NoTrac(`found no Trac by ${tried.join(', ')}; ${byHand}`)
}
