/** How an identity is written into headers: ASCII on every server, the same bytes for every request (deploy/docs/reference/identity-headers.md). */
import type { IdentityHeaders, IdentityKind } from '../core/identity.js'

/** Percent-encodes as UTF-8; RFC 3986 unreserved characters, `@` and `+` stay. */
export function encodeName(text: string): string {
  return encodeURIComponent(text)
    .replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%40', '@')
    .replaceAll('%2B', '+')
}

/** Texts of permissions and of groups that many people share, for as long as anybody has them. */
const listed = new WeakMap<object, string>()

/** A set of either is always written in one way: permissions are ASCII, which encoding leaves as it is. */
function listOf(words: ReadonlySet<string>): string {
  let text = listed.get(words)
  if (text === undefined) {
    listed.set(words, (text = [...words].map(encodeName).toSorted().join(',')))
  }
  return text
}

/** What an upstream is told of somebody. The sets change no more. */
export interface ToldIdentity {
  readonly user: string
  readonly permissions: ReadonlySet<string>
  readonly email: string | undefined
  readonly name: string | undefined
  readonly groups: ReadonlySet<string>
  /** Undefined for nobody. */
  readonly kind: IdentityKind | undefined
}

/** The header values of a principal. */
export function toIdentityHeaders(told: ToldIdentity): IdentityHeaders {
  const { user, permissions, email = '', name = '', groups, kind } = told
  return Object.freeze({
    user: encodeName(user),
    perms: listOf(permissions),
    email: encodeName(email),
    name: encodeName(name),
    ...(kind === undefined ? {} : { groups: listOf(groups), kind }),
  })
}

/** The same of somebody who may do something else, in one of several Tracs. */
export function withPermissions(
  headers: IdentityHeaders,
  permissions: ReadonlySet<string>,
): IdentityHeaders {
  return Object.freeze({ ...headers, perms: listOf(permissions) })
}
