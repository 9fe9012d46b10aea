/** A kind of text: one pattern that says which texts it accepts, and the value that such a text means. */

/** Named groups of a pattern that matched. */
export type Parts = Readonly<Record<string, string | undefined>>

/** A kind of text that the configuration reads. */
export interface TextKind<T> {
  /** As the tables of the documentation call it. */
  readonly name: string
  /** The whole text that is accepted, as a regular expression with the flag `u`. */
  readonly pattern: string
  /** What a report says was wanted. */
  readonly wanted: string
  /** A more exact wish, for a mistake that people make. */
  readonly hint: (text: string) => string | undefined
  /** The value; undefined if the pattern does not match. Relative paths count from `folder`. */
  readonly parse: (text: string, folder?: string) => T | undefined
}

/** A kind, told by its pattern and by what becomes of the parts of a text that matches. */
export interface TextKindOptions<T> {
  readonly name: string
  readonly pattern: string
  readonly wanted: string
  readonly hint?: (text: string) => string | undefined
  readonly read: (parts: Parts, text: string, folder: string) => T | undefined
}

/** Makes a kind. Its parser is its pattern: what the one refuses, the other never sees. */
export function textKind<T>(options: TextKindOptions<T>): TextKind<T> {
  const { name, pattern, wanted, hint = () => undefined, read } = options
  const form = new RegExp(pattern, 'u')
  return {
    name,
    pattern,
    wanted,
    hint,
    parse(text, folder = '') {
      const match = form.exec(text)
      return match === null ? undefined : read(match.groups ?? {}, text, folder)
    },
  }
}
