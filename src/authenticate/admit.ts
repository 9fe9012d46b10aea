/** From a Bearer token to the principal it stands for: verified, named, and asked about where it says too little. */
import { GatewayError, withFacts } from '../core/errors.js'
import type { Milliseconds } from '../core/clock.js'
import type { Principal, Profile } from '../core/identity.js'
import type { VerifiedToken, VerifyToken } from '../oidc/verify-token.js'
import { identifiersOf } from '../session/token-identifiers.js'
import type { TokenIdentifiers } from '../session/token-identifiers.js'
import { looksLikeAddress } from '../trac/user-names.js'
import type { NameSource } from '../trac/user-names.js'
import { machinePrincipal, personPrincipal } from './principals.js'
import type { MachineEntry, PrincipalParts } from './principals.js'
import { hasProvenAddress, nameClaimOf, readGroups, readProfile, withUserinfo } from './profile.js'
import type { ClaimNames } from './profile.js'

/** How the names of an issuer's people are read, and what their groups may do. */
export interface IssuerPeople {
  readonly source: NameSource
  readonly claims: ClaimNames
  readonly knownGroups: ReadonlySet<string>
  readonly parts: PrincipalParts
}

/** What admission needs. */
export interface AdmitParts {
  readonly verify: VerifyToken
  readonly people: ReadonlyMap<string, IssuerPeople>
  readonly machines: Readonly<Record<string, MachineEntry>>
  /** Undefined: never asked (`identity.username.userinfo`). */
  readonly userinfo:
    | ((
        token: string,
        subject: string,
        scopes: ReadonlySet<string>,
      ) => Promise<Readonly<Record<string, unknown>>>)
    | undefined
  /** Whether people are named by their address. */
  readonly byEmail: boolean
}

/** What a token is admitted as. */
export interface Admitted {
  readonly principal: Principal
  readonly identifiers: TokenIdentifiers
  readonly expiresAt: Milliseconds
}

/** Builds the two readers: of a verified token's profile, and of a raw token's bearer. */
export function createAdmit(parts: AdmitParts) {
  const peopleOf = (token: VerifiedToken): IssuerPeople => {
    const people = parts.people.get(token.issuer.issuer)
    if (people === undefined) {
      const { issuer } = token.issuer
      const wanted = { issuer: [...parts.people.keys()] }
      throw new GatewayError('ERR_TOKEN_ISSUER', { found: { issuer }, wanted })
    }
    return people
  }

  /** Whether an access token leaves open a claim that the name depends on. */
  const saysTooLittle = (token: VerifiedToken, people: IssuerPeople): boolean => {
    if (token.use === 'id') return false
    if (people.parts.naming.hasAlias(token.subject, people.source)) return false
    const isProven = hasProvenAddress(token.claims)
    if (parts.byEmail && people.source.main) return !isProven
    const name = nameClaimOf(token.claims, people.claims)
    return name === undefined || (looksLikeAddress(name) && !isProven)
  }

  const completeClaims = async (raw: string, token: VerifiedToken, people: IssuerPeople) => {
    if (!saysTooLittle(token, people)) return token.claims
    if (parts.userinfo === undefined || !token.issuer.main) {
      const wanted = { claim: people.claims.username, key: 'identity.claims.username' }
      throw new GatewayError('ERR_NAME_UNKNOWN', { found: { userinfo: 'not asked' }, wanted })
    }
    const answer = await parts.userinfo(raw, token.subject, token.scopes)
    return withUserinfo(token.claims, answer)
  }

  const asMachine = (token: VerifiedToken, people: IssuerPeople): Principal => {
    const machine = parts.machines[token.clientId]
    const { clientId: client, scopes } = token
    if (machine === undefined) {
      const wanted = { client: Object.keys(parts.machines), key: 'identity.machines' }
      throw new GatewayError('ERR_MACHINE_UNKNOWN', { found: { client }, wanted })
    }
    if (!machine.scopes.every((scope) => scopes.has(scope))) {
      const found = { client, scopes: [...scopes] }
      throw new GatewayError('ERR_MACHINE_SCOPE', { found, wanted: { scopes: machine.scopes } })
    }
    return machinePrincipal(people.parts, machine, token.issuer.issuer, token.subject, token)
  }

  const asPerson = async (
    raw: string,
    token: VerifiedToken,
    people: IssuerPeople,
  ): Promise<Principal> => {
    const claims = await completeClaims(raw, token, people)
    const profile = readProfile(claims, people.claims, people.knownGroups)
    return personPrincipal(people.parts, profile, people.source, token, 'bearer')
  }

  return {
    /** What a verified token says of its person. */
    profileOf: (token: VerifiedToken): Profile => {
      const people = peopleOf(token)
      return readProfile(token.claims, people.claims, people.knownGroups)
    },
    /** All groups in a verified token, those that mean nothing here too. */
    groupsOf: (token: VerifiedToken): readonly string[] =>
      readGroups(token.claims, peopleOf(token).claims),
    /** @throws {@link GatewayError} (rejects) ERR_TOKEN_…, ERR_NAME_…, ERR_MACHINE_…, ERR_PROVIDER_… */
    async admit(raw: string): Promise<Admitted> {
      const token = await parts.verify(raw)
      const people = peopleOf(token)
      const { issuer } = token.issuer
      try {
        const principal = token.machine
          ? asMachine(token, people)
          : await asPerson(raw, token, people)
        const identifiers = identifiersOf(issuer, token.claims)
        return { principal, identifiers, expiresAt: token.expiresAt }
      } catch (error) {
        throw withFacts(error, { issuer, sub: token.subject, claims: Object.keys(token.claims) })
      }
    },
  }
}
