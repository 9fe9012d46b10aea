/** gateway.yaml as JSON Schema, for editors. */
import { describeKey } from './docs.js'
import type { KeySchema } from './key.js'
import { configKeys } from './schema.js'

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
  const { description, range, normally } = describeKey(schema)
  const isTold = schema.computed !== undefined || schema.absent !== undefined
  return [description, range, isTold ? normally : ''].filter((words) => words !== '').join(' ')
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
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
] as const

function ruleSchema(schema: KeySchema): Json {
  return Object.fromEntries(
    ruleNames.flatMap((name) => (schema[name] === undefined ? [] : [[name, schema[name]]])),
  )
}
