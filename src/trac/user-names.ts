/** From a profile to the one name a person has in Trac, or to a refusal: never to a second-best name (deploy/docs/guides/permissions.md#names). */
import { detailTexts, sayDetail } from '../core/details.js'
import type { Detail } from '../core/details.js'
import { GatewayError } from '../core/errors.js'
import type { Profile } from '../core/identity.js'
import { tracActions } from './permissions.js'

/** Whether names are kept as they come, or put in lower case. */
export type NameCase = 'keep' | 'lower'

/** Words that mean something else in Trac, folded, with what they mean. */
export type ForbiddenNames = ReadonlyMap<string, string>

/** A user name that Trac can use, or why it cannot: words that follow "the user name". */
export type JudgedName = { readonly name: string } | { readonly fault: string }

/** Characters (code points) that a user name may have. */
const maxNameLength = 255
/** Control, format, surrogate, line and paragraph characters: invisible, or a line end for some readers. */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
/** What `case: lower` takes: elsewhere lower case depends on the language. */
const ascii = /^[\x21-\x7e]*$/

/**
 * The form in which two names are compared, everywhere. A dotless i and a sharp s only meet in upper case, and a capital
 * sharp s has to be a small one first.
 */
export const foldName = (name: string): string => name.toLowerCase().toUpperCase().toLowerCase()

const lengthOf = (text: string): number => Array.from(text).length

/**
 * The names that nobody can have: Trac would read them as a right, a group or everybody.
 * @param groups every group that the configuration names
 * @param actions every action that the configuration names
 */
export function forbidNames(groups: Iterable<string>, actions: Iterable<string>): ForbiddenNames {
  const named = (words: Iterable<string>, meaning: string): [string, string][] =>
    Array.from(words, (word) => [foldName(word), meaning])
  return new Map([
    ...named(groups, 'is a group of the configuration'),
    ...named(actions, 'is a permission that the configuration names'),
    ...named(Object.keys(tracActions), 'is a permission of Trac'),
    ...named(['anonymous', 'authenticated'], 'is a word by which Trac means other people'),
  ])
}

/**
 * The one judge of user names, for `check` and for each request: a name stops here that looks like
 * another, that a header's reader cuts or splits, or that means something else in Trac. An e-mail
 * address is judged elsewhere: it needs `email_verified`.
 */
export function judgeName(raw: string, nameCase: NameCase, forbidden: ForbiddenNames): JudgedName {
  const fault = faultOf(raw) ?? forbidden.get(foldName(raw))
  if (fault !== undefined) return { fault }
  if (nameCase === 'keep') return { name: raw }
  return ascii.test(raw)
    ? { name: raw.toLowerCase() }
    : { fault: 'is not of visible ASCII characters alone, as username.case: lower wants it' }
}

function faultOf(name: string): string | undefined {
  if (name === '') return 'is empty'
  if (lengthOf(name) > maxNameLength) return `has more than ${maxNameLength} characters`
  if (invisible.test(name)) return 'has a control or format character'
  if (name.normalize('NFKC') !== name) return 'has a character that looks like another one (NFKC)'
  if (name.trim() !== name) return 'has white space at an end'
  return name.includes(',') ? 'has a comma' : undefined
}

/** Whom an alias is for: an issuer and a `sub`; undefined if it names an issuer that is not known here. */
export type AliasOwner = { readonly issuer: string; readonly subject: string } | undefined

const beforeHash = /^[^#]*/
const isAddress = /^https?:/i

/**
 * Reads the key of an alias: a `sub` of the main issuer, or `issuer#sub`. An issuer has no `#` (OpenID Connect
 * Discovery 1.0 §2), so the first one ends it. What names an issuer is never a `sub` of another one, however that spells it.
 * @param issuers all that are known, the main one first
 */
export function readAliasKey(key: string, issuers: readonly string[]): AliasOwner {
  const [issuer = ''] = beforeHash.exec(key) ?? []
  const hasIssuer =
    key.length > issuer.length && (issuers.includes(issuer) || isAddress.test(issuer))
  if (!hasIssuer) return { issuer: issuers[0] ?? '', subject: key }
  return issuers.includes(issuer) ? { issuer, subject: key.slice(issuer.length + 1) } : undefined
}

/** The rules for names, from the configuration. */
export interface NameRules {
  /** By `sub` of the main issuer, or `issuer#sub`. */
  readonly aliases: Readonly<Record<string, string>>
  /** All issuers, the main one first. */
  readonly issuers: readonly string[]
  readonly emailLocalPart: string | false
  readonly case: NameCase
  /** Names of machines. */
  readonly machineNames: readonly string[]
  readonly forbidden: ForbiddenNames
  readonly email: 'verified' | 'any'
  /** Prefixes of additional issuers: no name of the main one may begin like theirs. */
  readonly prefixes: readonly string[]
}

/** Where a profile comes from. `prefix` is the empty text for the main issuer. */
export interface NameSource {
  readonly issuer: string
  readonly main: boolean
  readonly prefix: string
  /** Whether the claim for the name is the `sub`, or equals it where people have not chosen one (Cognito). */
  readonly bySubject: boolean
}

/** Names people. */
export interface Naming {
  /** @throws {@link GatewayError} ERR_NAME_REFUSED, ERR_NAME_RESERVED, ERR_NAME_UNKNOWN */
  nameOf(profile: Profile, source: NameSource): string
  /**
   * Under what a name belongs to whoever came first; undefined if nobody else can come out at it: it is given by an alias,
   * or made of the `sub` alone.
   */
  keyOf(name: string, subject: string, source: NameSource): string | undefined
  /** @throws {@link GatewayError} ERR_NAME_REFUSED */
  checkMachineName(name: string): string
  /** Whether the name follows from `sub` alone. */
  hasAlias(subject: string, source: NameSource): boolean
  /** The address Trac is told, if it may be told one. */
  emailOf(profile: Profile): string | undefined
  fullNameOf(profile: Profile): string | undefined
}

/** One address: no list, no white space, nothing invisible (RFC 5321 §4.5.3.1.3 for the length). */
const address = /^[^\s,@<>"\p{C}]+@[^\s,@<>"\p{C}]+$/u
const maxAddressLength = 254

function refuse(detail: Detail | string): never {
  const name = typeof detail === 'string' ? detail : sayDetail(detail, detailTexts)
  // What came stands in the facts of whoever read the token.
  throw new GatewayError('ERR_NAME_REFUSED', { detail, wanted: { name } })
}

/** Whether a name would be read as an e-mail address. */
export const looksLikeAddress = (name: string): boolean => name.includes('@')

const upperAscii = /[A-Z]/g

/** Whether two addresses are the same but for the case of ASCII letters. */
export function isSameAddress(one: string, other: string): boolean {
  const lower = (text: string) => text.replaceAll(upperAscii, (letter) => letter.toLowerCase())
  return lower(one) === lower(other)
}

/** A name that looks like an address is the verified address itself, or nobody's. */
function checkIsTheirs(username: string, { email, emailVerified }: Profile): void {
  if (!emailVerified) refuse({ text: 'detail.address_unverified' })
  if (!isSameAddress(username, email ?? '')) {
    refuse({ text: 'detail.address_other' })
  }
}

/** Aliases by issuer, then by `sub`. */
function sortAliases({ aliases, issuers }: NameRules): ReadonlyMap<string, Map<string, string>> {
  const sorted = new Map(issuers.map((issuer) => [issuer, new Map<string, string>()]))
  for (const [key, name] of Object.entries(aliases)) {
    const owner = readAliasKey(key, issuers)
    if (owner !== undefined) sorted.get(owner.issuer)?.set(owner.subject, name)
  }
  return sorted
}

/** Compiles the rules. */
export function createNaming(rules: NameRules): Naming {
  const aliases = sortAliases(rules)
  const targets = [...Object.values(rules.aliases), ...rules.machineNames]
  const reserved = new Set(targets.map(foldName))

  const finalName = (raw: string): string => {
    const judged = judgeName(raw, rules.case, rules.forbidden)
    return 'name' in judged ? judged.name : refuse(`The user name ${judged.fault}.`)
  }
  const prefixes = rules.prefixes.map(foldName)
  const isPrefixed = (name: string): boolean =>
    prefixes.some((prefix) => foldName(name).startsWith(prefix))
  const aliasOf = (subject: string, source: NameSource): string | undefined =>
    aliases.get(source.issuer)?.get(subject)
  const localPart = (profile: Profile, domain: string): string => {
    const { email = '' } = profile
    const at = email.lastIndexOf('@')
    const fits = address.test(email) && email.slice(at + 1).toLowerCase() === domain
    if (!fits) refuse({ text: 'detail.domain', values: { domain } })
    if (!profile.emailVerified) refuse({ text: 'detail.email_unverified' })
    return email.slice(0, at)
  }
  const claimed = (profile: Profile): string => {
    const { username } = profile
    if (username === undefined) {
      const wanted = { claim: 'the one of identity.claims.username' }
      throw new GatewayError('ERR_NAME_UNKNOWN', { found: { name: 'none' }, wanted })
    }
    if (looksLikeAddress(username)) checkIsTheirs(username, profile)
    return username
  }

  return {
    nameOf(profile, source) {
      const alias = aliasOf(profile.subject, source)
      if (alias !== undefined) return finalName(alias)
      const raw =
        rules.emailLocalPart !== false && source.main
          ? localPart(profile, rules.emailLocalPart)
          : claimed(profile)
      const name = finalName(source.prefix + raw)
      if (reserved.has(foldName(name)) || (source.main && isPrefixed(name))) {
        const wanted = { name: 'one that is no alias’s, machine’s or other issuer’s' }
        throw new GatewayError('ERR_NAME_RESERVED', { found: { name }, wanted })
      }
      return name
    },
    keyOf(name, subject, source) {
      if (aliasOf(subject, source) !== undefined) return undefined
      return source.bySubject && name === source.prefix + subject ? undefined : foldName(name)
    },
    checkMachineName: finalName,
    hasAlias: (subject, source) => aliasOf(subject, source) !== undefined,
    emailOf({ email, emailVerified }) {
      if (email === undefined || email.length > maxAddressLength || !address.test(email)) {
        return undefined
      }
      return emailVerified || rules.email === 'any' ? email : undefined
    },
    fullNameOf({ name }) {
      const text = name?.normalize('NFC')
      return text === undefined || lengthOf(text) > maxNameLength || invisible.test(text)
        ? undefined
        : text
    },
  }
}
