/** From a profile to the one name a person has in Trac, or to a refusal: never to a second-best name (deploy/docs/guides/permissions.md#names). */
import { GatewayError } from '../core/errors.js'
import type { Profile } from '../core/identity.js'

/** The rules for names, from the configuration. */
export interface NameRules {
  /** By `sub` of the main issuer, or `issuer#sub`. */
  readonly aliases: Readonly<Record<string, string>>
  readonly emailLocalPart: string | false
  readonly case: 'keep' | 'lower'
  /** Names of machines. */
  readonly machineNames: readonly string[]
  /** Trac actions and groups of the configuration: Trac would read such a name as a right or a group. */
  readonly forbidden: readonly string[]
  readonly email: 'verified' | 'any'
  /** Prefixes of additional issuers: no name of the main one may begin like theirs. */
  readonly prefixes: readonly string[]
}

/** Where a profile comes from. `prefix` is the empty text for the main issuer. */
export interface NameSource {
  readonly issuer: string
  readonly main: boolean
  readonly prefix: string
}

/** Names people. */
export interface Naming {
  /** @throws {@link GatewayError} ERR_NAME_REFUSED, ERR_NAME_RESERVED, ERR_NAME_UNKNOWN */
  nameOf(profile: Profile, source: NameSource): string
  /** @throws {@link GatewayError} ERR_NAME_REFUSED */
  checkMachineName(name: string): string
  /** Whether the name follows from `sub` alone. */
  hasAlias(subject: string, source: NameSource): boolean
  /** The address Trac is told, if it may be told one. */
  emailOf(profile: Profile): string | undefined
  fullNameOf(profile: Profile): string | undefined
}

const maxNameLength = 255
/** Control, format, surrogate, line and paragraph characters: invisible, or a line end to somebody. */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
const whiteEnds = /^\s|\s$/u
const ascii = /^[\x21-\x7e]+$/
/** One address: no list, no white space, nothing invisible (RFC 5321 §4.5.3.1.3 for the length). */
const address = /^[^\s,@<>"\p{C}]+@[^\s,@<>"\p{C}]+$/u
const maxAddressLength = 254
/** Names with a meaning of their own in Trac. */
const builtin = ['anonymous', 'authenticated']

/** The form in which two names are compared; upper case first, since a dotless i and a sharp s only meet there. */
function fold(name: string): string {
  return name.toUpperCase().toLowerCase()
}

function refuse(detail: string): never {
  throw new GatewayError('ERR_NAME_REFUSED', { detail })
}

/** Compiles the rules. */
export function createNaming(rules: NameRules): Naming {
  const aliases = new Map(Object.entries(rules.aliases))
  const reserved = new Set([...aliases.values(), ...rules.machineNames].map(fold))
  const forbidden = new Set([...builtin, ...rules.forbidden].map(fold))

  const check = (name: string): string => {
    if (name === '') refuse('The user name is empty.')
    if (name.length > maxNameLength) refuse('The user name is too long.')
    if (invisible.test(name)) refuse('The user name has an invisible character.')
    if (whiteEnds.test(name)) refuse('The user name begins or ends with white space.')
    if (name.includes(',')) refuse('The user name has a comma.')
    if (name.normalize('NFKC') !== name) refuse('The user name has a look-alike character.')
    if (forbidden.has(fold(name))) {
      refuse(`“${name}” is a permission or a group, not a user name.`)
    }
    return name
  }
  const inCase = (name: string): string => {
    if (rules.case === 'keep') return name
    if (!ascii.test(name))
      refuse('Only ASCII user names are allowed here (identity.username.case).')
    return name.toLowerCase()
  }
  const prefixes = rules.prefixes.map(fold)
  const isPrefixed = (name: string): boolean =>
    prefixes.some((prefix) => fold(name).startsWith(prefix))
  const aliasOf = (subject: string, source: NameSource): string | undefined =>
    aliases.get(`${source.issuer}#${subject}`) ?? (source.main ? aliases.get(subject) : undefined)
  const localPart = (profile: Profile, domain: string): string => {
    const { email = '' } = profile
    const at = email.lastIndexOf('@')
    const fits = address.test(email) && email.slice(at + 1).toLowerCase() === domain
    if (!fits) refuse(`Only people with an address at ${domain} can sign in here.`)
    if (!profile.emailVerified) refuse('The e-mail address has not been verified.')
    return email.slice(0, at)
  }
  const claimed = (profile: Profile): string => {
    const { username } = profile
    if (username === undefined) throw new GatewayError('ERR_NAME_UNKNOWN')
    if (username.includes('@') && !profile.emailVerified) {
      refuse('The user name is an e-mail address that has not been verified.')
    }
    return username
  }

  return {
    nameOf(profile, source) {
      const alias = aliasOf(profile.subject, source)
      if (alias !== undefined) return check(inCase(alias))
      const raw =
        rules.emailLocalPart !== false && source.main
          ? localPart(profile, rules.emailLocalPart)
          : claimed(profile)
      const name = check(inCase(source.prefix + raw))
      if (reserved.has(fold(name)) || (source.main && isPrefixed(name))) {
        throw new GatewayError('ERR_NAME_RESERVED')
      }
      return name
    },
    checkMachineName: (name) => check(inCase(name)),
    hasAlias: (subject, source) => aliasOf(subject, source) !== undefined,
    emailOf({ email, emailVerified }) {
      if (email === undefined || email.length > maxAddressLength || !address.test(email)) {
        return undefined
      }
      return emailVerified || rules.email === 'any' ? email : undefined
    },
    fullNameOf({ name }) {
      const text = name?.normalize('NFC')
      return text === undefined || text.length > maxNameLength || invisible.test(text)
        ? undefined
        : text
    },
  }
}
