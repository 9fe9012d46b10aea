/**
 * What the last text of each connection led to: clients send the same `Authorization` and `Cookie` again and again. Only for
 * what follows from the text alone. Whether it still counts is judged on every request.
 */

/** Characters of a text that is remembered; one for each connection, and it goes with it. */
const maxText = 8192

/** What a text leads to; `connection` is where it came from, undefined for nowhere. */
export type OfText<T> = (text: string, connection: object | undefined) => T

/** Builds it over a pure function. What that throws is not remembered. */
export function rememberLast<T>(make: (text: string) => T): OfText<T> {
  const last = new WeakMap<object, { readonly text: string; readonly made: T }>()
  return (text, connection) => {
    if (connection === undefined) return make(text)
    const known = last.get(connection)
    if (known?.text === text) return known.made
    const made = make(text)
    if (text.length <= maxText) last.set(connection, { text, made })
    return made
  }
}
