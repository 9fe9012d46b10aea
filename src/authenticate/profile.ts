/** Reads what a token says of somebody, by the configured names of claims; judges nothing (OpenID Connect Core §5.1). */
import { GatewayError } from '../core/errors.js'
import type { Profile } from '../core/identity.js'
import { isSameAddress } from '../trac/user-names.js'

/** Which claims say what: one for the name, lists in order of preference for the rest. */
export interface ClaimNames {
  readonly username: string
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

/** The first of some claims that is a text. */
function firstOf(claims: Claims, names: readonly string[]): string | undefined {
  return names.find((name) => textOf(claims[name]) !== undefined)
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

/** The claim that `email_verified` speaks of; it says nothing of an address in another one (OpenID Connect Core §5.1). */
const provenClaim = 'email'

/** All groups that a token names, those that mean nothing here too. */
export function readGroups(claims: Claims, names: ClaimNames): readonly string[] {
  return listOf(claims, names.groups)
}

/** Reads the profile; `known` are the groups that mean something here, all others are left out. */
export function readProfile(
  claims: Claims,
  names: ClaimNames,
  known: ReadonlySet<string>,
): Profile {
  const email = firstOf(claims, names.email)
  const subject = String(claims['sub'])
  const username = nameClaimOf(claims, names)
  return {
    subject,
    // One text for both where they are alike, as at Cognito: it is kept for as long as the token is known.
    username: username === subject ? subject : username,
    email: textOf(claims[email ?? '']),
    emailVerified: email === provenClaim && isTrue(claims['email_verified']),
    name: textOf(claims[firstOf(claims, names.name) ?? '']),
    groups: readGroups(claims, names).filter((group) => known.has(group)),
    permissions: listOf(claims, names.permissions),
  }
}

/** What the one claim for the name says, if it is there. */
export function nameClaimOf(claims: Claims, { username }: ClaimNames): string | undefined {
  return textOf(claimOf(claims, username))
}

/** Whether claims have an address and a word on whether it is verified. */
export function hasProvenAddress(claims: Claims): boolean {
  return textOf(claims[provenClaim]) !== undefined && claims['email_verified'] !== undefined
}

/** What follows the `@`: all of an address that a log needs. */
const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1)

/**
 * Adds what userinfo says to what the token said; the token's word stands. An address and its proof come from one of the
 * two, never one from each.
 * @throws {@link GatewayError} ERR_NAME_REFUSED — the two name different addresses
 */
export function withUserinfo(claims: Claims, userinfo: Claims): Claims {
  const [said, asked] = [textOf(claims[provenClaim]), textOf(userinfo[provenClaim])]
  if (said !== undefined && asked !== undefined && !isSameAddress(said, asked)) {
    const found = { domain_of_token: domainOf(said), domain_of_userinfo: domainOf(asked) }
    throw new GatewayError('ERR_NAME_REFUSED', {
      detail: { text: 'detail.emails_differ' },
      found,
      wanted: { email: 'one and the same' },
    })
  }
  const source = hasProvenAddress(claims) || asked === undefined ? claims : userinfo
  const { email, email_verified: verified } = source
  return {
    ...userinfo,
    ...claims,
    email,
    email_verified: email === undefined ? undefined : verified,
  }
}
