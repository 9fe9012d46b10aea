/** How an identity is written into headers: ASCII on every server, the same bytes for every request (deploy/docs/reference/identity-headers.md). */
import type { IdentityHeaders } from '../core/identity.js'

/** Percent-encodes as UTF-8; RFC 3986 unreserved characters, `@` and `+` stay. */
export function encodeName(text: string): string {
  return encodeURIComponent(text)
    .replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%40', '@')
    .replaceAll('%2B', '+')
}

/** Texts of permissions that many people share, for as long as anybody has them. */
const listed = new WeakMap<object, string>()

function listOf(permissions: ReadonlySet<string>): string {
  let text = listed.get(permissions)
  if (text === undefined) listed.set(permissions, (text = [...permissions].toSorted().join(',')))
  return text
}

/** The header values of a principal; `permissions` are sorted, and change no more. */
export function toIdentityHeaders(
  user: string,
  permissions: ReadonlySet<string>,
  email: string | undefined,
  name: string | undefined,
): IdentityHeaders {
  return Object.freeze({
    user: encodeName(user),
    perms: listOf(permissions),
    email: encodeName(email ?? ''),
    name: encodeName(name ?? ''),
  })
}
