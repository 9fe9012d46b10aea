/** What follows from the name of a field alone is found out once for each name, and not once a message. */

/** Others choose names: so many are remembered, none that is longer, and when it is full all are forgotten. */
const maxNames = 2000
const maxNameLength = 64

/** Builds it over a pure function, which is given the name in lower case (RFC 9110 §5.1). */
export function rememberNames<T>(judge: (lower: string) => T): (name: string) => T {
  const known = new Map<string, T>()
  return (name) => {
    let judged = known.get(name)
    if (judged === undefined) {
      judged = judge(name.toLowerCase())
      if (name.length > maxNameLength) return judged
      if (known.size >= maxNames) known.clear()
      known.set(name, judged)
    }
    return judged
  }
}
