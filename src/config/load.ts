/** gateway.yaml and the environment become one frozen {@link Config}, or every problem at once. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Document, Node as YamlNode, Pair, YAMLMap } from 'yaml'
import { findProblems } from './checks.js'
import type { Draft } from './draft.js'
import { complete } from './complete.js'
import { ConfigProblems, formatPath } from './problems.js'
import type { Path, Place, Problem, Report } from './problems.js'
import { Places, readConfig } from './read.js'
import type { Node, ScalarNode } from './read.js'
import { configKeys } from './schema.js'
import type { Config } from './schema.js'
import { findWarnings } from './warnings.js'

/** What loading takes from the process. */
export interface LoadOptions {
  readonly env: NodeJS.ProcessEnv
  /** Reads a text file, UTF-8; throws when it cannot. */
  readonly readFile?: (path: string) => string
}

/** A configuration that can be run, and what to think about. */
export interface Loaded {
  readonly config: Config
  readonly warnings: readonly Problem[]
  /** Every file that was read, this one first; a change of any is a change of the configuration. */
  readonly files: readonly string[]
}

/** A file of more characters is no configuration. */
const maxFileLength = 1024 * 1024

/** More nodes, aliases counted each time, mean a file made to fill the memory. */
const maxNodes = 100_000

/** Deeper nesting than any key of the schema, with room; the parser recurses. */
const deepest = 64

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
  const warnings: Problem[] = []
  const into =
    (list: Problem[]): Report =>
    (at, found, wanted, place) => {
      list.push({ file: path, ...(place ?? places.of(at)), path: formatPath(at), found, wanted })
    }
  const report = into(problems)
  const text = readText(file, readFile, report)
  const root = text === undefined ? undefined : parse(text, report)
  if (root === undefined) throw new ConfigProblems(problems)

  const draft = readConfig(configKeys, root, {
    env: options.env,
    folder: dirname(file),
    readFile: (name) => {
      if (!files.includes(name)) files.push(name)
      return readFile(name)
    },
    report,
    found: (at, place) => places.add(at, place),
  })
  if (!isDraft(draft)) throw new ConfigProblems(problems)
  const given = (at: Path) => places.has(at)
  findProblems(draft, report, given)
  findWarnings(draft, into(warnings), given)
  problems.sort(byPlace)
  warnings.sort(byPlace)
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

/** The file as plain nodes; undefined, and reported, when it is no YAML. */
function parse(text: string, report: Report): Node | undefined {
  const lines = new LineCounter()
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  let document: Document.Parsed
  try {
    document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      uniqueKeys: false,
      prettyErrors: false,
      lineCounter: lines,
      logLevel: 'error',
    })
  } catch {
    report([], 'YAML that is nested too deeply to read', 'a gateway.yaml')
    return undefined
  }
  const mistakes = [...document.errors, ...document.warnings]
  let lastLine = 0
  for (const { message, code, pos } of mistakes) {
    const place = placeOf(pos[0])
    // What follows on the same line is only what the first one led to.
    if (place.line !== lastLine) report([], message, wantedFor(code), place)
    lastLine = place.line
  }
  if (mistakes.length > 0) return undefined
  const converted = new Converter(document, placeOf, report).convert(document.contents)
  const empty = converted?.kind === 'scalar' && converted.value === null
  return empty ? { kind: 'map', place: { line: 1, column: 1 }, entries: [] } : converted
}

/** What to write instead, for the mistakes that people make. */
function wantedFor(code: string): string {
  if (code === 'TAB_AS_INDENT') return 'spaces, since YAML knows no tabs there'
  if (code === 'TAG_RESOLVE_FAILED') return 'a plain value without a tag'
  if (code === 'BAD_INDENT')
    return 'the indentation of the lines around it, or the closing bracket before it'
  if (code === 'MISSING_CHAR') return 'the closing quote or bracket, or the : after a key'
  if (code === 'MULTIPLE_DOCS') return 'one document'
  return 'valid YAML 1.2'
}

/** Turns the YAML tree into plain nodes: aliases followed, doubled keys reported, size bounded. */
class Converter {
  readonly #document: Document.Parsed
  readonly #placeOf: (offset: number) => Place
  readonly #report: Report
  #nodes = 0
  #failed = false

  constructor(document: Document.Parsed, placeOf: (offset: number) => Place, report: Report) {
    this.#document = document
    this.#placeOf = placeOf
    this.#report = report
  }

  /** Undefined, and reported once, when the tree is too large or too deep. */
  convert(root: YamlNode | null): Node | undefined {
    const node = this.#convert(root, [], { line: 1, column: 1 })
    return this.#failed ? undefined : node
  }

  #convert(node: unknown, path: Path, fallback: Place): Node {
    const nothing: ScalarNode = { kind: 'scalar', place: fallback, value: null }
    this.#nodes += 1
    if (this.#failed || this.#nodes > maxNodes || path.length > deepest) {
      if (!this.#failed) this.#report(path, 'too much', 'a file of sensible size', fallback)
      this.#failed = true
      return nothing
    }
    if (isAlias(node)) {
      // Reported where the alias stands, since the value may be right in its own place.
      const place = this.#startOf(node.range, fallback)
      return this.#convert(node.resolve(this.#document), path, place)
    }
    if (isMap(node)) return this.#map(node, path, this.#startOf(node.range, fallback))
    if (isSeq(node)) {
      const place = this.#startOf(node.range, fallback)
      const items = node.items.map((item, index) => this.#convert(item, [...path, index], place))
      return { kind: 'list', place, items }
    }
    if (!isScalar(node)) return nothing
    return { kind: 'scalar', place: this.#startOf(node.range, fallback), value: node.value }
  }

  #map(map: YAMLMap, path: Path, place: Place): Node {
    const seen = new Set<string>()
    const entries = map.items.map((pair) => {
      const { key, place: keyPlace } = this.#key(pair, path, place)
      if (seen.has(key)) this.#report([...path, key], 'the key a second time', 'it once', keyPlace)
      seen.add(key)
      return { key, place: keyPlace, node: this.#convert(pair.value, [...path, key], keyPlace) }
    })
    return { kind: 'map', place, entries }
  }

  /** A key as it is written: a client id of digits alone is no number. */
  #key({ key }: Pair, path: Path, fallback: Place): { key: string; place: Place } {
    if (isScalar(key)) {
      const text = typeof key.value === 'string' ? key.value : (key.source ?? '')
      return { key: text, place: this.#startOf(key.range, fallback) }
    }
    this.#report(path, 'a list, a map or an alias as key', 'a name as key', fallback)
    return { key: '', place: fallback }
  }

  #startOf(range: readonly number[] | null | undefined, fallback: Place): Place {
    const start = range?.[0]
    return start === undefined ? fallback : this.#placeOf(start)
  }
}

/** Freezes a value with all that hangs on it. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const item of Object.values(value)) freeze(item)
  return value
}
