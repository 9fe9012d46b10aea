/** Headers that a message itself calls hop-by-hop (RFC 9110 §7.6.1). */

/** What `Connection` says besides names of headers. */
const options: ReadonlySet<string> = new Set(['', 'close', 'keep-alive'])

/** The names in the `Connection` fields of a flat list of headers, in lower case; undefined if there are none. */
export function connectionNames(raw: readonly string[]): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined
  for (let i = 0; i < raw.length; i += 2) {
    const field = raw[i]!
    if (field.length !== 10 || field.toLowerCase() !== 'connection') continue
    const value = raw[i + 1]!
    // All that most say.
    if (options.has(value)) continue
    for (const token of value.split(',')) {
      const name = token.trim().toLowerCase()
      if (options.has(name)) continue
      names ??= new Set()
      names.add(name)
    }
  }
  return names
}
