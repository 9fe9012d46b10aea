/** The keys of gateway.yaml as rows for the reference, and as JSON Schema for editors, made from the one source. */
import type { KeySchema } from './key.js'
import { configKeys } from './schema.js'

/** One key of gateway.yaml as the table shows it. */
export interface KeyRow {
  /** `routes[].require.anyGroup`, `upstreams.<name>.url`. */
  readonly path: string
  /** What stands there: a span, a list, one of some words. */
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
  return {
    path,
    type: typeOf(schema),
    default: words ?? (required ? '' : showDefault(schema.default)),
    required,
    description: schema.description ?? '',
  }
}

function typeOf(schema: KeySchema): string {
  if (schema.secret !== undefined) return 'secret'
  if (schema.kind?.name === 'duration' || schema.kind?.name === 'size') return schema.kind.name
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

type Json = Record<string, unknown>

/** A text with a variable fits everywhere: the editor cannot know its value. */
const variable = { $ref: '#/$defs/variable' }

/** JSON Schema (draft 2020-12) of gateway.yaml, for editors. */
export function jsonSchema(): Json {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'gateway.yaml of trac-gateway',
    ...toJsonSchema(configKeys),
    $defs: { variable: { type: 'string', pattern: '\\$\\{[A-Za-z_]' } },
  }
}

function toJsonSchema(schema: KeySchema): Json {
  const { description, examples } = schema
  const told: Json = {
    ...(description === undefined ? {} : { description: describe(schema) }),
    ...('default' in schema ? { default: schema.default } : {}),
    ...(examples === undefined ? {} : { examples }),
  }
  if (schema.anyOf !== undefined) {
    const forms = schema.anyOf.map(toJsonSchema)
    const hasText = schema.anyOf.some((form) => form.type === 'string')
    return { ...told, anyOf: hasText ? [...forms, variable] : forms }
  }
  if (schema.type === 'object') return { ...told, ...objectSchema(schema) }
  if (schema.type === 'array') return { ...told, ...arraySchema(schema) }
  const rules = ruleSchema(schema)
  const open = schema.type === 'string' && schema.pattern === undefined && schema.enum === undefined
  return open ? { ...told, ...rules } : { ...told, anyOf: [rules, variable] }
}

function describe(schema: KeySchema): string {
  const words = schema.computed ?? schema.absent
  return words === undefined
    ? (schema.description ?? '')
    : `${schema.description} Default: ${words}.`
}

const isRequired = (schema: KeySchema): boolean =>
  schema.absent === undefined &&
  schema.computed === undefined &&
  !('default' in schema) &&
  (schema.properties === undefined || Object.values(schema.properties).some(isRequired))

function objectSchema({ properties, additionalProperties, propertyNames }: KeySchema): Json {
  if (properties === undefined) {
    return {
      type: 'object',
      ...(propertyNames === undefined ? {} : { propertyNames }),
      additionalProperties:
        typeof additionalProperties === 'object' ? toJsonSchema(additionalProperties) : true,
    }
  }
  const keys = Object.entries(properties)
  const required = keys.filter(([, property]) => isRequired(property)).map(([key]) => key)
  return {
    type: 'object',
    additionalProperties: false,
    ...(required.length === 0 ? {} : { required }),
    properties: Object.fromEntries(keys.map(([key, property]) => [key, toJsonSchema(property)])),
  }
}

function arraySchema({ items, minItems, maxItems }: KeySchema): Json {
  return {
    type: 'array',
    ...(items === undefined ? {} : { items: toJsonSchema(items) }),
    ...(minItems === undefined ? {} : { minItems }),
    ...(maxItems === undefined ? {} : { maxItems }),
  }
}

const ruleNames = [
  'type',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'exclusiveMinimum',
  'exclusiveMaximum',
] as const

function ruleSchema(schema: KeySchema): Json {
  return Object.fromEntries(
    ruleNames.flatMap((name) => (schema[name] === undefined ? [] : [[name, schema[name]]])),
  )
}
