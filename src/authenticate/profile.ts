/** Reads what a token says of somebody, by the configured names of claims; judges nothing (OpenID Connect Core §5.1). */
import type { Profile } from '../core/identity.js'

/** Which claims say what, in order of preference. */
export interface ClaimNames {
  readonly username: readonly string[]
  readonly groups: readonly string[]
  readonly permissions: readonly string[]
  readonly email: readonly string[]
  readonly name: readonly string[]
}

type Claims = Readonly<Record<string, unknown>>

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** In Cognito's access tokens `username` is what ID tokens call `cognito:username`. */
function claimOf(claims: Claims, name: string): unknown {
  const value = claims[name]
  if (value !== undefined || name !== 'cognito:username') return value
  return claims['token_use'] === 'access' ? claims['username'] : undefined
}

function firstText(claims: Claims, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = textOf(claimOf(claims, name))
    if (value !== undefined) return value
  }
  return undefined
}

/** A list stays as it is, item by item; only a claim that is text is split, at commas. */
function listOf(claims: Claims, names: readonly string[]): readonly string[] {
  const found = new Set<string>()
  for (const name of names) {
    const value = claims[name]
    const items = typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value
    if (!Array.isArray(items)) continue
    for (const item of items as unknown[]) {
      if (typeof item === 'string' && item !== '') found.add(item)
    }
  }
  return [...found]
}

/** Cognito's user API gives booleans as text. */
function isTrue(value: unknown): boolean {
  return value === true || value === 'true'
}

/** Reads the profile; `known` are the groups that mean something here, all others are left out. */
export function readProfile(
  claims: Claims,
  names: ClaimNames,
  known: ReadonlySet<string>,
): Profile {
  return {
    subject: String(claims['sub']),
    username: firstText(claims, names.username),
    email: firstText(claims, names.email),
    emailVerified: isTrue(claims['email_verified']),
    name: firstText(claims, names.name),
    groups: listOf(claims, names.groups).filter((group) => known.has(group)),
    permissions: listOf(claims, names.permissions),
  }
}

/** Whether `claims` lack a name claim that stands before the one they have (or have none at all). */
export function lacksBetterName(claims: Claims, names: ClaimNames): boolean {
  return textOf(claimOf(claims, names.username[0] ?? 'sub')) === undefined
}

/** Adds what userinfo says to what the token said; the token's word stands. */
export function withUserinfo(claims: Claims, userinfo: Claims): Claims {
  return { ...userinfo, ...claims }
}
