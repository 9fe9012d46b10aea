/** The keys of gateway.yaml in words: as rows for the reference, and as sentences for gateway.yaml itself and for editors. */
import type { KeySchema } from './key.js'
import { maxTimer } from './kinds/duration.js'
import { configKeys } from './schema.js'

/** One key of gateway.yaml as the table shows it. */
export interface KeyRow {
  /** `routes[].require.anyGroup`, `upstreams.<name>.url`. */
  readonly path: string
  /** What stands there: a duration, a list, one of some words. */
  readonly type: string
  /** As in the file, or in words what holds without it; empty for a key that is required. */
  readonly default: string
  readonly required: boolean
  readonly description: string
}

/** Every key that has a value, in the order of the schema. */
export function listKeys(schema: KeySchema = configKeys, path = ''): readonly KeyRow[] {
  const below = [
    ...Object.entries(schema.properties ?? {}).flatMap(([key, property]) =>
      listKeys(property, path === '' ? key : `${path}.${key}`),
    ),
    ...(typeof schema.additionalProperties === 'object'
      ? listBelow(schema.additionalProperties, `${path}.<${schema.keyName ?? 'key'}>`)
      : []),
    ...(schema.items === undefined ? [] : listBelow(schema.items, `${path}[]`)),
  ]
  const isGroup = schema.properties !== undefined && schema.absent === undefined
  return path === '' || isGroup ? below : [toRow(schema, path), ...below]
}

/** Keys of the entries of a list or record; an entry that is a single value needs no row. */
const listBelow = (schema: KeySchema, path: string): readonly KeyRow[] =>
  schema.properties === undefined ? [] : listKeys(schema, path)

function toRow(schema: KeySchema, path: string): KeyRow {
  const words = schema.computed ?? schema.absent
  const required = words === undefined && !('default' in schema)
  const told = describeKey(schema)
  return {
    path,
    type: typeOf(schema),
    default: words ?? (required ? '' : showDefault(schema.default)),
    required,
    description: sentences(told.description, told.range),
  }
}

function typeOf(schema: KeySchema): string {
  if (schema.secret !== undefined) return 'secret'
  if (schema.kind !== undefined) return schema.kind.name
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ')
  if (schema.anyOf !== undefined) {
    const forms = new Set(schema.anyOf.map(typeOf))
    return [...forms].join(' or ')
  }
  if (schema.type === 'array') return 'list'
  if (schema.type === 'object') return schema.properties === undefined ? 'map' : 'keys'
  if (schema.type === 'boolean') return '`true`, `false`'
  if (schema.type === 'integer' || schema.type === 'number') return 'number'
  return 'text'
}

/** Long defaults are in gateway.yaml; the table only points there. */
const maxDefaultLength = 60

function showDefault(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > maxDefaultLength ? 'see `gateway.yaml`' : `\`${text.replaceAll(',', ', ')}\``
}

/** What is told of a key, a sentence or more each; empty text for nothing. */
export interface KeyTold {
  readonly description: string
  /** The words that it can be, where the description does not name them. */
  readonly choices: string
  readonly range: string
  /** What is so when it is left out. */
  readonly normally: string
}

/** Some sentences as one text. */
export const sentences = (...parts: readonly string[]): string =>
  parts.filter((part) => part !== '').join(' ')

/** A key in words. */
export function describeKey(schema: KeySchema): KeyTold {
  const { description = '' } = schema
  return {
    description: sentences(description, restartOf(schema)),
    choices: choicesOf(schema, description),
    range: rangeSentence(schema),
    normally: defaultOf(schema),
  }
}

function restartOf({ restart }: KeySchema): string {
  if (restart === undefined) return ''
  return restart === 'always'
    ? 'A change here needs a restart.'
    : 'With Redis, a change here needs a restart.'
}

function choicesOf({ enum: words, items }: KeySchema, description: string): string {
  const values = (words ?? items?.enum ?? []).filter((word) => typeof word === 'string')
  if (values.every((word) => description.includes(word))) return ''
  return `${words === undefined ? 'Any' : 'One'} of ${values.join(', ')}.`
}

/** What any timer can hold need not be said. */
function rangeSentence({ min, max }: KeySchema): string {
  const least = min === '1ms' ? undefined : min
  const most = max === maxTimer ? undefined : max
  if (least === undefined) return most === undefined ? '' : `At most ${most}.`
  return most === undefined ? `At least ${least}.` : `From ${least} to ${most}.`
}

function defaultOf(schema: KeySchema): string {
  const words = schema.computed ?? schema.absent
  if (words !== undefined) return `Default: ${words}.`
  if (!('default' in schema)) return 'Required.'
  const { default: value } = schema
  const text = typeof value === 'string' ? value : JSON.stringify(value).replaceAll('"', '')
  return `Default: ${text.replaceAll(',', ', ')}.`
}
