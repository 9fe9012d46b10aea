/** Joins a profile, its name and its grants into the principal that every request of a token or session shares. */
import type {
  Granted,
  Principal,
  Profile,
  IdentityHeaders,
  IdentityKind,
} from '../core/identity.js'
import { sharedSet } from '../core/remember-lists.js'
import { withPermissions } from '../trac/identity-headers.js'
import type { ToldIdentity } from '../trac/identity-headers.js'
import { expandActions } from '../trac/permissions.js'
import type { NameSource, Naming } from '../trac/user-names.js'

/** How a principal is named, what it may do, and how Trac is told. */
export interface PrincipalParts {
  readonly naming: Naming
  readonly grants: (groups: Iterable<string>, claimed: readonly string[]) => Granted
  readonly toIdentityHeaders: (told: ToldIdentity) => IdentityHeaders
}

/** A machine as the configuration lists it. */
export interface MachineEntry {
  readonly username: string
  readonly groups: readonly string[]
  readonly scopes: readonly string[]
}

/** What a token adds to a profile. */
export interface TokenFacts {
  readonly clientId: string
  readonly scopes: ReadonlySet<string>
}

const nobody = { issuer: '', subject: '', clientId: '' }

/** The principal of a person, who came by `kind`. @throws {@link GatewayError} ERR_NAME_… */
export function personPrincipal(
  parts: PrincipalParts,
  profile: Profile,
  source: NameSource,
  facts: TokenFacts,
  kind: Exclude<IdentityKind, 'machine' | 'legacy'>,
): Principal {
  const user = parts.naming.nameOf(profile, source)
  const email = parts.naming.emailOf(profile)
  const name = parts.naming.fullNameOf(profile)
  const granted = parts.grants(profile.groups, source.main ? profile.permissions : [])
  // Groups of another issuer never pass for our own: they carry its prefix.
  const groups = sharedSet(profile.groups.map((group) => source.prefix + group))
  const { permissions } = granted
  return Object.freeze({
    kind: 'person',
    user,
    nameKey: parts.naming.keyOf(user, profile.subject, source),
    email,
    name,
    issuer: source.issuer,
    subject: profile.subject,
    clientId: facts.clientId,
    scopes: facts.scopes,
    groups,
    ...granted,
    identityHeaders: parts.toIdentityHeaders({ user, permissions, email, name, groups, kind }),
  })
}

/**
 * What a personal token may do: what its owner may, and no more than its ceiling allows. Whoever has TRAC_ADMIN has what a
 * plugin adds, too.
 */
export function limitGranted(granted: Granted, ceiling: readonly string[] | undefined): Granted {
  if (ceiling === undefined) return granted
  const sources = new Map(granted.grants.map(({ action, from }) => [action, from]))
  const byAdmin = sources.get('TRAC_ADMIN')
  const grants = [...expandActions(ceiling)].toSorted().flatMap((action) => {
    const from = sources.get(action) ?? byAdmin
    return from === undefined ? [] : [{ action, from }]
  })
  return { ...granted, grants, permissions: new Set(grants.map(({ action }) => action)) }
}

/** The principal of a personal token: its owner with less. */
export function limitedPrincipal(
  owner: Principal,
  ceiling: readonly string[] | undefined,
): Principal {
  if (ceiling === undefined) return owner
  const { permissions, grants } = limitGranted(owner, ceiling)
  const identityHeaders = withPermissions(owner.identityHeaders, permissions)
  return Object.freeze({ ...owner, permissions, grants, ceiling, identityHeaders })
}

/** The principal of a listed machine. */
export function machinePrincipal(
  parts: PrincipalParts,
  machine: MachineEntry,
  issuer: string,
  subject: string,
  facts: TokenFacts,
): Principal {
  const user = parts.naming.checkMachineName(machine.username)
  const granted = parts.grants(machine.groups, [])
  const groups = new Set(machine.groups)
  return Object.freeze({
    kind: 'machine',
    user,
    nameKey: undefined,
    email: undefined,
    name: undefined,
    issuer,
    subject,
    clientId: facts.clientId,
    scopes: facts.scopes,
    groups,
    ...granted,
    identityHeaders: parts.toIdentityHeaders({
      user,
      permissions: granted.permissions,
      email: undefined,
      name: undefined,
      groups,
      kind: 'machine',
    }),
  })
}

/** The principal of everybody who has not signed in. */
export function anonymousPrincipal(
  toIdentityHeaders: PrincipalParts['toIdentityHeaders'],
  granted: Granted,
): Principal {
  const groups = new Set<string>()
  return Object.freeze({
    kind: 'anonymous',
    user: '',
    nameKey: undefined,
    email: undefined,
    name: undefined,
    ...nobody,
    groups,
    scopes: new Set<string>(),
    ...granted,
    identityHeaders: toIdentityHeaders({
      user: '',
      permissions: granted.permissions,
      email: undefined,
      name: undefined,
      groups,
      kind: undefined,
    }),
  })
}
