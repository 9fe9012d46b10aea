/** gateway.yaml and the environment become one frozen {@link Config}, or every problem at once. */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Draft } from './draft.js'
import { Places } from './places.js'
import { ConfigProblems, formatPath } from './problems.js'
import type { Path, Place, Problem, Report, Warning } from './problems.js'
import { readConfig } from './read.js'
import type { ReadContext, StatFile } from './read.js'
import { complete, configKeys, findProblems, findWarnings } from './schema.js'
import type { Config } from './schema.js'
import type { Given } from './topic.js'
import { parseYaml } from './yaml.js'

/** What loading takes from the process. */
export interface LoadOptions {
  readonly env: NodeJS.ProcessEnv
  /** Reads a text file, UTF-8; throws when it cannot. */
  readonly readFile?: (path: string) => string
  /** Reads the first bytes of a file; from the file system by default. */
  readonly readBytes?: ReadContext['readBytes']
  /** Looks at a path; the file system by default. */
  readonly stat?: StatFile
}

/** A configuration that can be run, and what to think about. */
export interface Loaded {
  readonly config: Config
  /** Those that the file does not acknowledge. */
  readonly warnings: readonly Warning[]
  /** Every file that was read, this one first; a change of any is a change of the configuration. */
  readonly files: readonly string[]
}

const statFile: StatFile = (path) => {
  try {
    const stats = statSync(path)
    return { isFolder: stats.isDirectory(), mode: stats.mode }
  } catch {
    // What can't be looked at is not there for this user.
    return undefined
  }
}

/** Reads so many bytes of a file, or as many as there are. @throws Error — it can’t be read */
export const readFirstBytes: ReadContext['readBytes'] = (path, max) => {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(max)
    let length = 0
    for (;;) {
      const more = readSync(file, bytes, length, max - length, null)
      length += more
      if (more === 0 || length === max) return bytes.subarray(0, length)
    }
  } finally {
    closeSync(file)
  }
}

/** A file of more characters is no configuration. */
const maxFileLength = 1024 * 1024

/**
 * Loads, checks and freezes a configuration. Reads files and does nothing else.
 * @throws {@link ConfigProblems} with all problems of the file, in its order
 */
export function loadConfig(path: string, options: LoadOptions): Loaded {
  const file = resolve(path)
  const files = [file]
  const readFile = options.readFile ?? ((name: string) => readFileSync(name, 'utf8'))
  const places = new Places()
  const problems: Problem[] = []
  const all: Warning[] = []
  const toProblem = (at: Path, found: string, wanted: string, place?: Place): Problem => ({
    file: path,
    ...(place ?? places.of(at)),
    path: formatPath(at),
    found,
    wanted,
  })
  const report: Report = (...told) => void problems.push(toProblem(...told))
  const warn =
    (name: string): Report =>
    (...told) =>
      void all.push({ ...toProblem(...told), name })
  const text = readText(file, readFile, report)
  const root = text === undefined ? undefined : parseYaml(text, report)
  if (root === undefined) throw new ConfigProblems(problems)

  const note = (name: string): void => {
    if (!files.includes(name)) files.push(name)
  }
  const readBytes = options.readBytes ?? readFirstBytes
  const draft = readConfig(configKeys, root, {
    env: options.env,
    folder: dirname(file),
    readFile: (name) => {
      note(name)
      return readFile(name)
    },
    readBytes: (name, max) => {
      note(name)
      return readBytes(name, max)
    },
    stat: options.stat ?? statFile,
    report,
    warn,
    found: (at, place) => places.add(at, place),
  })
  if (!isDraft(draft)) throw new ConfigProblems(problems)
  const given: Given = (at) => places.has(at)
  findProblems(draft, report, given)
  findWarnings(draft, warn, given)
  problems.sort(byPlace)
  const known = new Set(draft.acknowledge)
  const warnings = all.filter(({ name }) => !known.has(name)).toSorted(byPlace)
  if (problems.length > 0) throw new ConfigProblems(problems, warnings)
  return { config: freeze(complete(draft)), warnings, files }
}

const isDraft = (value: unknown): value is Draft<Config> =>
  typeof value === 'object' && value !== null

const byPlace = (a: Place, b: Place): number => a.line - b.line || a.column - b.column

function readText(
  file: string,
  readFile: (path: string) => string,
  report: Report,
): string | undefined {
  try {
    const text = readFile(file)
    if (text.length <= maxFileLength) return text
    report([], `${text.length} characters`, `at most ${maxFileLength}`)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
    report([], `no file that can be read (${code})`, 'a gateway.yaml')
  }
  return undefined
}

/** Freezes a value with all that hangs on it. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const item of Object.values(value)) freeze(item)
  return value
}
