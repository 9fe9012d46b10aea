/** Turns the text of one key into its value, or says what was wanted instead. */
import type { KeySchema } from './schema.js'

/** A value, or what was wrong with the text. */
export type Converted = { readonly value: unknown } | { readonly wanted: string }

const refuse = (wanted: string): Converted => ({ wanted })

/** Whether a number is within `least` and `most` of its key, which are written as in the file. */
function isWithin(value: unknown, { kind, least, most }: KeySchema): boolean {
  if (typeof value !== 'number') return true
  const lowest = least === undefined ? 0 : kind?.parse(least)
  const highest = most === undefined ? Number.MAX_SAFE_INTEGER : kind?.parse(most)
  return value >= Number(lowest) && value <= Number(highest)
}

function convertKind(
  kind: NonNullable<KeySchema['kind']>,
  text: string,
  schema: KeySchema,
  folder: string,
): Converted {
  const value = kind.parse(text, folder)
  if (value === undefined) return refuse(kind.hint(text) ?? schema.wanted ?? kind.wanted)
  const { least = '0', most = 'any' } = schema
  return isWithin(value, schema) ? { value } : refuse(`a ${kind.name} from ${least} to ${most}`)
}

/** The value of one text. `folder` is where relative paths count from. */
export function convertText(text: string, schema: KeySchema, folder: string): Converted {
  const { wanted = 'another value', kind } = schema
  if (kind !== undefined) return convertKind(kind, text, schema, folder)
  if (text.length < (schema.minLength ?? 0)) return refuse(wanted)
  if (text.length > (schema.maxLength ?? Number.POSITIVE_INFINITY)) {
    return refuse(`at most ${schema.maxLength} characters`)
  }
  if (schema.enum !== undefined && !schema.enum.includes(text)) return refuse(wanted)
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(text)) {
    return refuse(wanted)
  }
  return { value: text }
}
