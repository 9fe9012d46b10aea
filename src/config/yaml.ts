/** The text of gateway.yaml as plain nodes with their places, or what is wrong with it as YAML. */
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Alias, Document, ParsedNode, YAMLMap } from 'yaml'
import type { Path, Place, Report } from './problems.js'

/** A value of the file with its place. */
export type Node = MapNode | ListNode | ScalarNode

/** A key of the file with its value. */
export interface Entry {
  readonly key: string
  readonly place: Place
  readonly node: Node
}

/** Keys and values, in the order of the file. */
export interface MapNode {
  readonly kind: 'map'
  readonly place: Place
  readonly entries: readonly Entry[]
}

/** A list. */
export interface ListNode {
  readonly kind: 'list'
  readonly place: Place
  readonly items: readonly Node[]
}

/** A single value. */
export interface ScalarNode {
  readonly kind: 'scalar'
  readonly place: Place
  readonly value: unknown
}

const start: Place = { line: 1, column: 1 }

/** Aliases counted with all that they bring along: more are made to fill the memory, and no configuration. */
const maxAliasCount = 100

/** The file as plain nodes; undefined, and reported, when it is not YAML. */
export function parseYaml(text: string, report: Report): Node | undefined {
  try {
    return readYaml(text, report)
  } catch (error) {
    // The library recurses, and counts aliases by a ReferenceError.
    if (!(error instanceof RangeError || error instanceof ReferenceError)) throw error
    const found =
      error instanceof RangeError ? 'YAML that is nested too deeply' : 'too many aliases'
    report([], found, 'a file of sensible size')
    return undefined
  }
}

function readYaml(text: string, report: Report): Node | undefined {
  const lines = new LineCounter()
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    // A client id of digits alone is no number.
    stringKeys: true,
    // The converter below finds doubled keys: it knows their path, and the library compares each with each.
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: lines,
    logLevel: 'error',
  })
  if (hasMistakes(document, placeOf, report)) return undefined
  document.toJS({ maxAliasCount })
  const root = new Converter(document, placeOf, report).convert(document.contents, [], start)
  const isEmpty = root.kind === 'scalar' && root.value === null
  return isEmpty ? { kind: 'map', place: start, entries: [] } : root
}

function hasMistakes(
  document: Document.Parsed,
  placeOf: (offset: number) => Place,
  report: Report,
): boolean {
  const all = [...document.errors, ...document.warnings]
  let lastLine = 0
  for (const { message, code, pos } of all) {
    const place = placeOf(pos[0])
    // What follows on the same line is only what the first one led to.
    if (place.line !== lastLine) report([], ...tell(code, message), place)
    lastLine = place.line
  }
  return all.length > 0
}

/** What was found (if the library does not say it well) and what to write instead, by the code of the library: words of lines, columns, quotes and brackets. */
const mistakes: Readonly<Record<string, readonly [found: string | undefined, wanted: string]>> = {
  NON_STRING_KEY: ['a list, a map or an alias as key', 'a name as key'],
  TAB_AS_INDENT: ['a tab at the beginning of a line', 'spaces, since YAML knows no tabs there'],
  TAG_RESOLVE_FAILED: [undefined, 'a plain value without a tag'],
  BAD_INDENT: [
    'a line that begins in another column than its neighbours',
    'the indentation of the lines next to it, or the closing bracket before it',
  ],
  BLOCK_AS_IMPLICIT_KEY: [
    'a second key or a list on the line of a key that has its value there',
    'each key on a line of its own, two spaces further in than the key that it belongs to; or quotes, if the value itself has ": " in it',
  ],
  MULTILINE_IMPLICIT_KEY: [
    'a line that is neither a key with its : nor part of a value',
    'key: value; a value that goes on over lines stands further in than its key',
  ],
  UNEXPECTED_TOKEN: [
    'something that does not belong there',
    'one value after each key; quotes, if the value itself has such a character',
  ],
  MISSING_CHAR: [
    'a quote, a bracket or a key that is not ended',
    'the closing quote or bracket, or the : after a key',
  ],
  BLOCK_IN_FLOW: [
    'an indented block inside brackets',
    'all of it in brackets, or all of it as indented lines',
  ],
  BAD_SCALAR_START: [
    'a value that begins with a character that YAML keeps for itself',
    'quotes around the value',
  ],
  BAD_DQ_ESCAPE: [
    'a backslash that means nothing in double quotes',
    'single quotes, in which a backslash is a backslash',
  ],
  BAD_ALIAS: ['a * before a name that no & has set', 'quotes around a value that begins with *'],
  BAD_DIRECTIVE: ['a line that begins with %', 'quotes around a value that begins with %'],
  DUPLICATE_KEY: ['the key a second time', 'it once'],
  MULTIPLE_DOCS: ['a second document (a line of ---)', 'one document'],
  KEY_OVER_1024_CHARS: ['a key of more than 1024 characters', 'a quote or a : that is missing'],
}

/** A mistake in words; what the library can say besides is rare, and stands as it says it. */
function tell(code: string, message: string): readonly [found: string, wanted: string] {
  const [found = message, wanted = 'valid YAML 1.2'] = mistakes[code] ?? []
  return [found, wanted]
}

/** Turns the YAML tree into plain nodes: aliases followed, doubled keys reported. */
class Converter {
  readonly #document: Document.Parsed
  readonly #placeOf: (offset: number) => Place
  readonly #report: Report
  /** What an anchor stands for, once it is converted. */
  readonly #anchored = new Map<unknown, Node>()

  constructor(document: Document.Parsed, placeOf: (offset: number) => Place, report: Report) {
    this.#document = document
    this.#placeOf = placeOf
    this.#report = report
  }

  convert(node: unknown, path: Path, fallback: Place): Node {
    if (isAlias(node)) return this.#follow(node, path, this.#startOf(node.range, fallback))
    const converted = this.#convert(node, path, fallback)
    if (isScalar(node) || isMap(node) || isSeq(node)) this.#anchored.set(node, converted)
    return converted
  }

  #convert(node: unknown, path: Path, fallback: Place): Node {
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) {
      return { kind: 'scalar', place: fallback, value: null }
    }
    const place = this.#startOf(node.range, fallback)
    if (isScalar(node)) return { kind: 'scalar', place, value: node.value }
    if (isMap(node)) return this.#map(node, path, place)
    const items = node.items.map((item, index) => this.convert(item, [...path, index], place))
    return { kind: 'list', place, items }
  }

  /** Reported where the alias stands, since the value may be right in its own place. */
  #follow(alias: Alias, path: Path, place: Place): Node {
    const target = this.#anchored.get(alias.resolve(this.#document))
    if (target !== undefined) return { ...target, place }
    this.#report(path, 'an alias to what it is part of', 'a value', place)
    return { kind: 'scalar', place, value: null }
  }

  #map(map: YAMLMap, path: Path, place: Place): Node {
    const seen = new Set<string>()
    const entries = map.items.map((pair): Entry => {
      const { value: key = '', range } = isScalar<string>(pair.key) ? pair.key : {}
      const at = this.#startOf(range, place)
      if (seen.has(key)) this.#report([...path, key], 'the key a second time', 'it once', at)
      seen.add(key)
      return { key, place: at, node: this.convert(pair.value, [...path, key], at) }
    })
    return { kind: 'map', place, entries }
  }

  #startOf(range: ParsedNode['range'] | null | undefined, fallback: Place): Place {
    const offset = range?.[0]
    return offset === undefined ? fallback : this.#placeOf(offset)
  }
}
