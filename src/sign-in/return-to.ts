/** Where somebody may be sent after sign-in: a page below our own base path, and nothing else (deploy/docs/sessions.md#sign-in). */
import { noEnvironments } from '../request/environment.js'
import { belowBase, parseTarget } from '../request/target.js'

/** Where people see their personal tokens, and where they make one. */
export const tokensPath = '/auth/tokens'
export const newTokenPath = '/auth/tokens/new'

/** Characters that an address to return to may have. */
const maxLength = 1024

/** Pages of our own that want a sign-in: they are no loop. */
const ownPages: ReadonlySet<string> = new Set([tokensPath, newTokenPath])

/** Sign-in and sign-out would be a loop, and Trac's `/intertrac` leads anywhere. */
function isClosed(path: string): boolean {
  if (ownPages.has(path)) return false
  return ['/auth', '/login', '/logout', '/intertrac'].some(
    (own) => path === own || path.startsWith(`${own}/`),
  )
}

/** A fragment as a browser can have it (RFC 3986 §3.5, and what the URL standard lets stand). */
const visible = /^[!-~]*$/

/**
 * The canonical form of an address to return to, or undefined.
 * Only an origin-absolute path is read, by the same reader as every request, so that no browser can see another
 * host in it; `\`, `//`, control characters, dots and the like are refused there. A fragment is kept: no server reads it.
 */
export function readReturnTo(
  value: string,
  base: string,
  environmentAt = noEnvironments,
): string | undefined {
  if (value.length > maxLength) return undefined
  const hash = value.indexOf('#')
  const [address, fragment] = hash < 0 ? [value, ''] : [value.slice(0, hash), value.slice(hash)]
  const target = parseTarget(address, maxLength)
  if ('code' in target || !visible.test(fragment)) return undefined
  const path = belowBase(target.path, base)
  const whole = target.sent + fragment
  if (path === undefined || isClosed(path) || whole.length > maxLength) return undefined
  return isClosed(environmentAt(path)?.path ?? '') ? undefined : whole
}

/** The same for a Referer, which is a whole address: it counts only if it is ours. */
export function readReferer(
  value: string,
  origin: string,
  base: string,
  environmentAt = noEnvironments,
): string | undefined {
  if (!value.startsWith(`${origin}/`)) return undefined
  return readReturnTo(value.slice(origin.length), base, environmentAt)
}
