/** Turns one text, number or flag of the file into its value, or says what was wanted instead. */
import type { KeySchema } from './key.js'

/** A value, or what was wanted instead. */
export type Converted = { readonly value: unknown } | { readonly wanted: string }

const refuse = (wanted: string): Converted => ({ wanted })

/** Whether a number is within `min` and `max` of its key, which are written as in the file. */
function isWithin(value: unknown, { kind, min, max }: KeySchema): boolean {
  if (typeof value !== 'number') return true
  const least = min === undefined ? 0 : kind?.parse(min)
  const most = max === undefined ? Number.MAX_SAFE_INTEGER : kind?.parse(max)
  return value >= Number(least) && value <= Number(most)
}

function convertKind(
  kind: NonNullable<KeySchema['kind']>,
  text: string,
  schema: KeySchema,
  folder: string,
): Converted {
  const value = kind.parse(text, folder)
  if (value === undefined) return refuse(kind.hint(text) ?? schema.wanted ?? kind.wanted)
  if (isWithin(value, schema)) return { value }
  return refuse(`a ${kind.name} ${rangeOf(schema)}`)
}

function rangeOf({ min, max }: KeySchema): string {
  if (min === undefined) return `up to ${max}`
  return max === undefined ? `from ${min}` : `from ${min} to ${max}`
}

/** The value of one text. `folder` is where relative paths count from. */
export function convertText(text: string, schema: KeySchema, folder: string): Converted {
  const { wanted = 'another value', kind } = schema
  if (kind !== undefined) return convertKind(kind, text, schema, folder)
  if (text.length < (schema.minLength ?? 0)) return refuse(wanted)
  // Characters are code points, as in JSON Schema and in every rule for names.
  if (Array.from(text).length > (schema.maxLength ?? Number.POSITIVE_INFINITY)) {
    return refuse(`at most ${schema.maxLength} characters`)
  }
  if (schema.enum !== undefined && !schema.enum.includes(text)) return refuse(wanted)
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(text)) {
    return refuse(wanted)
  }
  return { value: text }
}

/** What a text of the environment means as a flag or a number; itself if neither. */
export function fromText(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text
}

/** Whether a flag or a number is one that the key takes. */
export function isAllowed(schema: KeySchema, value: unknown): boolean {
  if (schema.type === 'boolean') {
    return typeof value === 'boolean' && (schema.enum?.includes(value) ?? true)
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) return false
  if (schema.type === 'integer' && !Number.isSafeInteger(value)) return false
  return (
    value >= (schema.minimum ?? Number.NEGATIVE_INFINITY) &&
    value <= (schema.maximum ?? Number.POSITIVE_INFINITY) &&
    value > (schema.exclusiveMinimum ?? Number.NEGATIVE_INFINITY) &&
    value < (schema.exclusiveMaximum ?? Number.POSITIVE_INFINITY)
  )
}
