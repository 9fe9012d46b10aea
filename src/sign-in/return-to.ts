/** Where somebody may be sent after sign-in: a page below our own base path, and nothing else (deploy/docs/sessions.md#sign-in). */
import { belowBase, parseTarget } from '../request/target.js'

/** Characters that an address to return to may have. */
const maxLength = 2048

/** Sign-in and sign-out are not pages to return to: that would be a loop. `/intertrac` would lead anywhere. */
function isOwn(path: string): boolean {
  return ['/auth', '/login', '/logout', '/intertrac'].some(
    (own) => path === own || path.startsWith(`${own}/`),
  )
}

/**
 * The canonical form of an address to return to, or undefined.
 * Only an origin-absolute path is read, by the same reader as every request, so that no browser can see another
 * host in it; `\`, `//`, control characters, dots and the like are refused there.
 */
export function readReturnTo(value: string, base: string): string | undefined {
  if (value.length > maxLength) return undefined
  const target = parseTarget(value, maxLength)
  if ('code' in target) return undefined
  const path = belowBase(target.path, base)
  return path === undefined || isOwn(path) ? undefined : target.sent
}

/** The same for a Referer, which is a whole address: it counts only if it is ours. */
export function readReferer(value: string, origin: string, base: string): string | undefined {
  return value.startsWith(`${origin}/`) ? readReturnTo(value.slice(origin.length), base) : undefined
}
