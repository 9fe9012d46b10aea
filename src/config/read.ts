/** Reads the parsed file by the schema: checks, converts and fills in defaults; every mistake is reported. */
import { dirname } from 'node:path'
import type { Advice, KeySchema } from './key.js'
import { adviseMode, fetchSecret, isRepetitive, secretSources } from './kinds/secret.js'
import type { Pem } from './kinds/secret.js'
import { showValue, suggest } from './problems.js'
import type { Path, Place, Report } from './problems.js'
import { convertText, fromText, isAllowed } from './scalar.js'
import { substitute } from './substitute.js'
import type { MapNode, Node, ScalarNode } from './yaml.js'

/** What there is at a path; undefined for nothing. */
export type StatFile = (
  path: string,
) => { readonly isFolder: boolean; readonly mode: number } | undefined

/** What reading needs from outside. */
export interface ReadContext {
  readonly env: NodeJS.ProcessEnv
  /** Where relative paths count from. */
  readonly folder: string
  readonly readFile: (path: string) => string
  /** The first bytes of a file, `max` of them at most; throws when it can't be read. */
  readonly readBytes: (path: string, max: number) => Buffer
  readonly stat: StatFile
  readonly report: Report
  /** Makes the report of what to think about under a name. */
  readonly warn: (name: string) => Report
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
export function readConfig(schema: KeySchema, root: Node, context: ReadContext): unknown {
  const defaults: ReadContext = {
    ...context,
    env: {},
    found: () => undefined,
    warn: () => () => undefined,
  }
  return new Reader(context, new Reader(defaults)).read(schema, root, [])
}

class Reader {
  readonly #context: ReadContext
  /** Reads defaults: they name no variables and stand nowhere in the file. */
  readonly #defaults: Reader
  readonly #advised = new Set<string>()

  constructor(context: ReadContext, defaults?: Reader) {
    this.#context = context
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
    this.#context.report(path, 'nothing', schema.missing ?? wantedOf(schema))
    return undefined
  }

  #refuse(schema: KeySchema, node: Node, path: Path): undefined {
    const hidden = node.kind === 'scalar' && node.value !== null && holdsSecret(schema)
    const found = hidden ? 'a value (not shown)' : showNode(node)
    this.#context.report(path, found, wantedOf(schema), node.place)
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
      this.#context.found([...path, key], value.kind === 'scalar' ? value.place : place)
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
    this.#context.report([...path, key], 'a key that is not known here', wanted, place)
  }

  #readRecord(schema: KeySchema, node: MapNode, path: Path): unknown {
    const { additionalProperties: item, propertyNames } = schema
    if (typeof item !== 'object') return undefined
    // No prototype: a client id or group named `constructor` finds nothing that is not in the file.
    const record: Record<string, unknown> = Object.create(null)
    for (const { key, place, node: value } of node.entries) {
      const at = [...path, key]
      this.#context.found(at, value.kind === 'scalar' ? value.place : place)
      if (key === '' || (propertyNames && !new RegExp(propertyNames.pattern, 'u').test(key))) {
        const wanted = `a ${schema.keyName ?? 'key'} as key`
        this.#context.report(at, JSON.stringify(key), wanted, place)
      }
      record[key] = this.read(item, value, at)
    }
    return record
  }

  #readList(schema: KeySchema, node: Node, path: Path): unknown {
    const { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema
    if (node.kind !== 'list' || items === undefined) return this.#refuse(schema, node, path)
    if (node.items.length < minItems) {
      this.#context.report(path, 'an empty list', `at least ${minItems} entry`, node.place)
    }
    if (node.items.length > maxItems) {
      this.#context.report(path, `${node.items.length} entries`, `at most ${maxItems}`, node.place)
    }
    return node.items.map((item, index) => {
      this.#context.found([...path, index], item.place)
      return this.read(items, item, [...path, index])
    })
  }

  /** A text with its variables filled in; undefined, and reported, when one is missing. */
  #fillIn(node: ScalarNode, path: Path): { text: string; changed: boolean } | undefined {
    const filled = substitute(String(node.value), this.#context.env)
    if ('text' in filled) return filled
    this.#context.report(path, filled.found, filled.wanted, node.place)
    return undefined
  }

  #readText(schema: KeySchema, node: Node, path: Path): unknown {
    if (node.kind !== 'scalar' || typeof node.value !== 'string') {
      return this.#refuse(schema, node, path)
    }
    const filled = this.#fillIn(node, path)
    if (filled === undefined) return undefined
    const read = convertText(filled.text, schema, this.#context.folder)
    if ('value' in read) {
      this.#advise(schema, filled.text, path)
      this.#needFolder(schema, read.value, path, node)
      return schema.file === undefined
        ? read.value
        : this.#readContent(schema.file, String(read.value), path, node)
    }
    const near = suggest(filled.text, (schema.enum ?? []).map(String))
    const hint = near === undefined ? '' : ` (did you mean ${near}?)`
    this.#context.report(path, showValue(filled.text), read.wanted + hint, node.place)
    return undefined
  }

  /** What the file at a path means. */
  #readContent(
    file: NonNullable<KeySchema['file']>,
    name: string,
    path: Path,
    node: Node,
  ): unknown {
    try {
      const content = file.read(this.#context.readBytes(name, file.maxBytes + 1))
      if ('value' in content) return content.value
      this.#context.report(path, `${name}: ${content.found}`, content.wanted, node.place)
    } catch (cause) {
      const found = `${showValue(name)} (${codeOf(cause)})`
      this.#context.report(path, found, 'a file that can be read', node.place)
    }
    return undefined
  }

  #advise({ advise }: KeySchema, text: string, path: Path): void {
    const advice = advise?.(text)
    if (advice !== undefined) this.#warnOnce(advice.found, path, advice)
  }

  /** Says the same about a value or a file only once, wherever it stands. */
  #warnOnce(about: string, path: Path, advice: NonNullable<ReturnType<Advice>>): void {
    if (this.#advised.has(about)) return
    this.#advised.add(about)
    this.#context.warn(advice.name)(path, advice.found, advice.wanted)
  }

  #needFolder({ needs }: KeySchema, value: unknown, path: Path, node: Node): void {
    const file = fileOf(value)
    if (needs === undefined || file === undefined) return
    const folder = needs === 'folder' ? file : dirname(file)
    const there = this.#context.stat(folder)
    if (there?.isFolder === true) return
    const found = `${folder}, which ${there === undefined ? 'does not exist' : 'is no folder'}`
    this.#context.report(path, found, 'a folder that is there before the start', node.place)
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
    if (isAllowed(schema, value)) return value
    return this.#refuse(schema, { ...node, value }, path)
  }

  /** The first form that the value could have; its own mistakes are then reported. */
  #readAny(schema: KeySchema, forms: readonly KeySchema[], node: Node, path: Path): unknown {
    const form = forms.find((candidate) => mayBe(candidate, node))
    if (form === undefined) return this.#refuse(schema, node, path)
    if (form.type === 'string' && node.kind === 'scalar' && forms.some(isFlag)) {
      // A variable may stand for a flag.
      const filled = this.#fillIn(node, path)
      if (filled === undefined) return undefined
      const value = filled.changed ? fromText(filled.text) : undefined
      if (typeof value === 'boolean') return value
    }
    return this.read({ ...form, wanted: form.wanted ?? wantedOf(schema) }, node, path)
  }

  /** The value is never shown, whatever stands there. */
  #readSecret(schema: KeySchema, node: Node, path: Path): unknown {
    const source = this.#readSource(schema, node, path)
    if (source === undefined) return undefined
    const { at, secret } = source
    const length = Buffer.byteLength(secret.value)
    if (length < (schema.minBytes ?? 1)) {
      const wanted = `at least ${schema.minBytes} bytes, such as openssl rand -base64 48 prints`
      this.#context.report(at, `${length} bytes`, length === 0 ? 'a secret' : wanted)
      return undefined
    }
    if (schema.minBytes !== undefined && schema.minBytes > 1 && isRepetitive(secret.value)) {
      const found = `${length} bytes with hardly a difference among them`
      this.#context.report(at, found, 'random ones, such as openssl rand -base64 48 prints')
      return undefined
    }
    if (secret.path !== undefined && schema.public !== true) this.#judgeMode(secret.path, at)
    if (schema.kind === undefined) return schema.secret === 'pem' ? secret : secret.value
    const value = schema.kind.parse(secret.value)
    if (value === undefined) {
      this.#context.report(path, 'another text (not shown)', schema.kind.wanted)
    }
    return value
  }

  #judgeMode(file: string, path: Path): void {
    const advice = adviseMode(this.#context.stat(file)?.mode ?? 0)
    if (advice !== undefined) this.#warnOnce(file, path, { name: 'secret-file-mode', ...advice })
  }

  #readSource(schema: KeySchema, node: Node, path: Path): { at: Path; secret: Pem } | undefined {
    if (node.kind !== 'map') {
      const found = node.kind === 'scalar' ? 'a value in the file itself (not shown)' : 'a list'
      this.#context.report(path, found, wantedOf(schema), node.place)
      return undefined
    }
    const [entry, ...more] = node.entries
    const source = Object.entries(secretSources).find(([name]) => name === entry?.key)?.[1]
    if (entry === undefined || source === undefined || more.length > 0) {
      const found = node.entries.map(({ key }) => JSON.stringify(key)).join(' and ')
      this.#context.report(path, found || 'an empty map', wantedOf(schema), node.place)
      return undefined
    }
    const at = [...path, entry.key]
    this.#context.found(at, entry.node.place)
    const name = this.#readName(source, entry.node, at)
    if (name === undefined) return undefined
    const secret = fetchSecret(entry.key, name, this.#context)
    if ('value' in secret) return { at, secret }
    this.#context.report(at, secret.found, secret.wanted)
    return undefined
  }

  /** The name of a variable or file. One that cannot be is not shown: it may be the secret itself. */
  #readName(source: KeySchema, node: Node, path: Path): string | undefined {
    if (node.kind !== 'scalar' || typeof node.value !== 'string') {
      this.#refuse(source, node, path)
      return undefined
    }
    const filled = this.#fillIn(node, path)
    if (filled === undefined) return undefined
    if ('value' in convertText(filled.text, source, '')) return filled.text
    this.#context.report(path, 'text that is no name', wantedOf(source), node.place)
    return undefined
  }
}

/** Why a file can't be read, in one word. */
const codeOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'

const isFlag = (schema: KeySchema): boolean =>
  schema.type === 'boolean' && schema.enum === undefined

/** The path that a value is, or has: that of a Unix socket. */
function fileOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  const { path } = (value ?? {}) as { path?: unknown }
  return typeof path === 'string' ? path : undefined
}

function mayBe(schema: KeySchema, node: Node): boolean {
  if (node.kind === 'map') return schema.type === 'object'
  if (node.kind === 'list') return schema.type === 'array'
  return schema.type === typeof node.value
}
