/** Reads the parsed file by the schema: checks, converts and fills in defaults; every mistake is reported. */
import { convertText } from './convert.js'
import { formatPath, showValue, suggest } from './problems.js'
import type { Path, Place, Report } from './problems.js'
import type { KeySchema, Pem } from './schema.js'
import { resolve } from 'node:path'
import { substitute } from './substitute.js'

/** A value of the file with its place. */
export type Node = MapNode | ListNode | ScalarNode

/** Keys and values, in the order of the file. */
export interface MapNode {
  readonly kind: 'map'
  readonly place: Place
  readonly entries: readonly { readonly key: string; readonly place: Place; readonly node: Node }[]
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

/** What reading needs from outside. */
export interface AppContext {
  readonly env: NodeJS.ProcessEnv
  /** Where relative paths count from. */
  readonly folder: string
  readonly readFile: (path: string) => string
  readonly report: Report
  /** Told where each key of the file stands. */
  readonly found: (path: Path, place: Place) => void
}

const nowhere: Place = { line: 1, column: 1 }

/** A default of the schema as if it stood in the file. */
function toNode(value: unknown): Node {
  if (Array.isArray(value)) return { kind: 'list', place: nowhere, items: value.map(toNode) }
  if (typeof value !== 'object' || value === null) return { kind: 'scalar', place: nowhere, value }
  const entries = Object.entries(value).map(([key, item]) => ({
    key,
    place: nowhere,
    node: toNode(item),
  }))
  return { kind: 'map', place: nowhere, entries }
}

const wantedOf = (schema: KeySchema): string => schema.wanted ?? 'another value'

const envName: KeySchema = { type: 'string', wanted: 'the name of an environment variable' }
const fileName: KeySchema = { type: 'string', minLength: 1, wanted: 'a file path' }

const isSecret = (schema: KeySchema): boolean => schema.secret !== undefined

/** Whether secrets stand at or below a key, so that a value in its place may be one. */
function holdsSecret(schema: KeySchema): boolean {
  const { items, additionalProperties: item } = schema
  const below = [items, typeof item === 'object' ? item : undefined]
  return (
    isSecret(schema) ||
    [...below, ...Object.values(schema.properties ?? {})].some((one) => one && holdsSecret(one))
  )
}

/** A node in the words of a report. */
function showNode(node: Node): string {
  if (node.kind === 'map') return node.entries.length === 0 ? 'an empty map' : 'keys and values'
  if (node.kind === 'list') return node.items.length === 0 ? 'an empty list' : 'a list'
  if (typeof node.value === 'number' || typeof node.value === 'bigint') {
    return `${node.value} (a bare number)`
  }
  return showValue(node.value)
}

/** Reads a whole file; what could not be read is undefined, and reported. */
export function readConfig(schema: KeySchema, root: Node, app: AppContext): unknown {
  const defaults: AppContext = { ...app, env: {}, found: () => undefined }
  return new Reader(app, new Reader(defaults)).read(schema, root, [])
}

class Reader {
  readonly #app: AppContext
  /** Reads defaults: they name no variables and stand nowhere in the file. */
  readonly #defaults: Reader

  constructor(app: AppContext, defaults?: Reader) {
    this.#app = app
    this.#defaults = defaults ?? this
  }

  read(schema: KeySchema, node: Node | undefined, path: Path): unknown {
    if (node === undefined) return this.#readAbsent(schema, path)
    if (isSecret(schema)) return this.#readSecret(schema, node, path)
    if (schema.anyOf !== undefined) return this.#readAny(schema, schema.anyOf, node, path)
    switch (schema.type) {
      case 'object':
        return this.#readMap(schema, node, path)
      case 'array':
        return this.#readList(schema, node, path)
      case 'string':
        return this.#readText(schema, node, path)
      default:
        return this.#readScalar(schema, node, path)
    }
  }

  #readAbsent(schema: KeySchema, path: Path): unknown {
    if (schema.absent !== undefined || schema.computed !== undefined) return undefined
    if ('default' in schema) return this.#defaults.read(schema, toNode(schema.default), path)
    if (schema.properties !== undefined) {
      return this.read(schema, { kind: 'map', place: nowhere, entries: [] }, path)
    }
    this.#app.report(path, 'nothing', wantedOf(schema))
    return undefined
  }

  #refuse(schema: KeySchema, node: Node, path: Path): undefined {
    const hidden = node.kind === 'scalar' && node.value !== null && holdsSecret(schema)
    const found = hidden ? 'a value (not shown)' : showNode(node)
    this.#app.report(path, found, wantedOf(schema), node.place)
    return undefined
  }

  #readMap(schema: KeySchema, node: Node, path: Path): unknown {
    if (node.kind !== 'map') return this.#refuse(schema, node, path)
    const { properties } = schema
    if (properties === undefined) return this.#readRecord(schema, node, path)
    const known = Object.keys(properties)
    const byKey = new Map<string, Node>()
    for (const { key, place, node: value } of node.entries) {
      if (!Object.hasOwn(properties, key)) {
        this.#refuseKey(key, known, place, path)
        continue
      }
      byKey.set(key, value)
      this.#app.found([...path, key], value.kind === 'scalar' ? value.place : place)
    }
    return Object.fromEntries(
      Object.entries(properties).map(([key, property]) => [
        key,
        this.read(property, byKey.get(key), [...path, key]),
      ]),
    )
  }

  #refuseKey(key: string, known: readonly string[], place: Place, path: Path): void {
    const near = suggest(key, known)
    const wanted =
      near === undefined ? `one of ${known.join(', ')}` : `${near} (did you mean that?)`
    this.#app.report([...path, key], 'a key that is not known here', wanted, place)
  }

  #readRecord(schema: KeySchema, node: MapNode, path: Path): unknown {
    const { additionalProperties: item, propertyNames } = schema
    if (typeof item !== 'object') return undefined
    // No prototype: a client id or group named `constructor` finds nothing that is not in the file.
    const record: Record<string, unknown> = Object.create(null)
    for (const { key, place, node: value } of node.entries) {
      const at = [...path, key]
      this.#app.found(at, value.kind === 'scalar' ? value.place : place)
      if (key === '' || (propertyNames && !new RegExp(propertyNames.pattern, 'u').test(key))) {
        const wanted = `a ${schema.keyName ?? 'key'} as key`
        this.#app.report(at, JSON.stringify(key), wanted, place)
      }
      record[key] = this.read(item, value, at)
    }
    return record
  }

  #readList(schema: KeySchema, node: Node, path: Path): unknown {
    const { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema
    if (node.kind !== 'list' || items === undefined) return this.#refuse(schema, node, path)
    if (node.items.length < minItems) {
      this.#app.report(path, 'an empty list', `at least ${minItems} entry`, node.place)
    }
    if (node.items.length > maxItems) {
      this.#app.report(path, `${node.items.length} entries`, `at most ${maxItems}`, node.place)
    }
    return node.items.map((item, index) => {
      this.#app.found([...path, index], item.place)
      return this.read(items, item, [...path, index])
    })
  }

  /** A text with its variables filled in; undefined, and reported, when one is missing. */
  #fillIn(node: ScalarNode, path: Path): { text: string; changed: boolean } | undefined {
    const filled = substitute(String(node.value), this.#app.env)
    if ('text' in filled) return filled
    this.#app.report(path, filled.found, filled.wanted, node.place)
    return undefined
  }

  #readText(schema: KeySchema, node: Node, path: Path): unknown {
    if (node.kind !== 'scalar' || typeof node.value !== 'string') {
      return this.#refuse(schema, node, path)
    }
    const filled = this.#fillIn(node, path)
    if (filled === undefined) return undefined
    const read = convertText(filled.text, schema, this.#app.folder)
    if ('value' in read) return read.value
    const near = suggest(filled.text, (schema.enum ?? []).map(String))
    const hint = near === undefined ? '' : ` (did you mean ${near}?)`
    this.#app.report(path, showValue(filled.text), read.wanted + hint, node.place)
    return undefined
  }

  /** A number or a flag; written by a variable, its text counts as if it stood in the file. */
  #readScalar(schema: KeySchema, node: Node, path: Path): unknown {
    if (node.kind !== 'scalar') return this.#refuse(schema, node, path)
    let { value } = node
    if (typeof value === 'string') {
      const filled = this.#fillIn(node, path)
      if (filled === undefined) return undefined
      value = filled.changed ? fromText(filled.text) : filled.text
    }
    if (fits(schema, value)) return value
    return this.#refuse(schema, { ...node, value }, path)
  }

  /** The first form that the value could have; its own mistakes are then reported. */
  #readAny(schema: KeySchema, forms: readonly KeySchema[], node: Node, path: Path): unknown {
    const form = forms.find((candidate) => mayBe(candidate, node))
    if (form === undefined) return this.#refuse(schema, node, path)
    return this.read({ ...form, wanted: form.wanted ?? wantedOf(schema) }, node, path)
  }

  /** The value is never shown, whatever stands there. */
  #readSecret(schema: KeySchema, node: Node, path: Path): unknown {
    if (node.kind !== 'map') {
      const found = node.kind === 'scalar' ? 'a value in the file itself (not shown)' : 'a list'
      this.#app.report(path, found, wantedOf(schema), node.place)
      return undefined
    }
    const [entry, ...more] = node.entries
    if (entry === undefined || more.length > 0 || !/^from(?:Env|File)$/.test(entry.key)) {
      const found = node.entries.map(({ key }) => JSON.stringify(key)).join(' and ')
      this.#app.report(path, found || 'an empty map', wantedOf(schema), node.place)
      return undefined
    }
    const at = [...path, entry.key]
    this.#app.found(at, entry.node.place)
    const name = this.read(entry.key === 'fromEnv' ? envName : fileName, entry.node, at)
    if (typeof name !== 'string') return undefined
    if (entry.key === 'fromEnv' && !/^[A-Za-z_]\w*$/.test(name)) {
      // Not shown: it may be the secret itself.
      this.#app.report(at, 'text that is no name', 'the name of an environment variable')
      return undefined
    }
    const read = entry.key === 'fromEnv' ? this.#fromEnv(name, at) : this.#fromFile(name, at)
    if (read === undefined) return undefined
    const length = Buffer.byteLength(read.value)
    if (length < (schema.minBytes ?? 1)) {
      const wanted = `at least ${schema.minBytes} bytes, such as openssl rand -base64 48 prints`
      this.#app.report(at, `${length} bytes`, length === 0 ? 'a secret' : wanted)
      return undefined
    }
    if (schema.kind === undefined) return schema.secret === 'pem' ? read : read.value
    const value = schema.kind.parse(read.value)
    if (value === undefined) {
      this.#app.report(path, 'another text (not shown)', schema.kind.wanted)
    }
    return value
  }

  #fromEnv(name: string, path: Path): Pem | undefined {
    const value = this.#app.env[name]
    if (value !== undefined) return { path: undefined, value: withoutNewline(value) }
    this.#app.report(path, `${showValue(name)}, which is not set`, 'an environment variable')
    return undefined
  }

  #fromFile(name: string, path: Path): Pem | undefined {
    const file = resolve(this.#app.folder, name)
    try {
      return { path: file, value: withoutNewline(this.#app.readFile(file)) }
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
      this.#app.report(path, `${showValue(name)} (${code})`, 'a file that can be read')
      return undefined
    }
  }
}

/** Editors end a file with a newline that nobody meant as part of the secret. */
const withoutNewline = (text: string): string => text.replace(/\r?\n$/, '')

/** What a text means as a flag or a number; itself if neither. */
function fromText(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text
}

function fits(schema: KeySchema, value: unknown): boolean {
  if (schema.type === 'boolean') {
    return typeof value === 'boolean' && (schema.enum?.includes(value) ?? true)
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) return false
  if (schema.type === 'integer' && !Number.isSafeInteger(value)) return false
  return (
    value >= (schema.minimum ?? Number.NEGATIVE_INFINITY) &&
    value > (schema.exclusiveMinimum ?? Number.NEGATIVE_INFINITY) &&
    value < (schema.exclusiveMaximum ?? Number.POSITIVE_INFINITY)
  )
}

function mayBe(schema: KeySchema, node: Node): boolean {
  if (node.kind === 'map') return schema.type === 'object'
  if (node.kind === 'list') return schema.type === 'array'
  return schema.type === typeof node.value
}

/** The places of the keys of a file, for reports on keys that are missing. */
export class Places {
  readonly #byPath = new Map<string, Place>()

  add(path: Path, place: Place): void {
    this.#byPath.set(formatPath(path), place)
  }

  /** Whether the key stands in the file. */
  has(path: Path): boolean {
    return this.#byPath.has(formatPath(path))
  }

  /** The place of a key, or of the nearest one above it that stands in the file. */
  of(path: Path): Place {
    for (let length = path.length; length > 0; length--) {
      const place = this.#byPath.get(formatPath(path.slice(0, length)))
      if (place !== undefined) return place
    }
    return nowhere
  }
}
