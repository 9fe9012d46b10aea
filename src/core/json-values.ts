/** What a value that came as JSON is (RFC 8259). */

export const isText = (value: unknown): value is string => typeof value === 'string'

export const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every(isText)
