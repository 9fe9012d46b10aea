/** Texts in a `gateway.yaml` that a command writes, as the loader reads them back. */

/** Words that YAML, or somebody who reads it, takes for something else. */
const words = new Set(['true', 'false', 'null', 'yes', 'no', 'on', 'off', 'y', 'n'])

/** A key. */
export function toKey(text: string): string {
  const isPlain = /^(?:https?:\/\/)?[A-Za-z_][\w./-]*$/.test(text) && !words.has(text.toLowerCase())
  return isPlain ? text : JSON.stringify(text)
}

/** A value: there, `${` is a variable of the environment. */
export const scalar = (text: string): string => toKey(text).replaceAll('${', () => '$${')
