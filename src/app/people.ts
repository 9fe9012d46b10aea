/** The people of each issuer: how they are named, and what their groups may do. */
import type { IssuerPeople } from '../authenticate/admit.js'
import { createGrants } from '../authorize/grants.js'
import { rememberGrants } from '../authorize/remember-grants.js'
import type { Config } from '../config/schema.js'
import { groupsOfEnvironments } from '../config/topics/environment-keys.js'
import { forbiddenNames, isBySubject } from '../config/topics/identity/user-names.js'
import type { Route } from '../request/route.js'
import { toIdentityHeaders } from '../trac/identity-headers.js'
import { createNaming } from '../trac/user-names.js'

/** Groups that mean something: only these are kept in sessions. */
function knownGroupsOf(config: Config, routes: readonly Route[]): Set<string> {
  return new Set([
    ...Object.keys(config.permissions.groups),
    ...groupsOfEnvironments(config),
    ...routes.flatMap((route) => route.require?.anyGroup ?? []),
  ])
}

/** Builds the rules of each issuer, by its name; `onLeftOut` hears of claimed actions that count for nothing. */
export function createPeople(
  config: Config,
  routes: readonly Route[],
  onLeftOut: (action: string) => void,
): ReadonlyMap<string, IssuerPeople> {
  const { identity, permissions } = config
  const knownGroups = knownGroupsOf(config, routes)
  const naming = createNaming({
    aliases: identity.username.aliases,
    issuers: [identity.issuer, ...identity.additionalIssuers.map((other) => other.issuer)],
    emailLocalPart: identity.username.emailLocalPart,
    case: identity.username.case,
    machineNames: [
      ...Object.values(identity.machines).map((machine) => machine.username),
      ...config.routes.flatMap(({ webhook }) => webhook?.username ?? []),
    ],
    forbidden: forbiddenNames(config),
    email: identity.email,
    prefixes: identity.additionalIssuers.map((other) => other.prefix),
  })
  const people = new Map<string, IssuerPeople>()
  people.set(identity.issuer, {
    source: {
      issuer: identity.issuer,
      main: true,
      prefix: '',
      bySubject: isBySubject(config, identity.issuer),
    },
    claims: identity.claims,
    knownGroups,
    parts: {
      naming,
      grants: rememberGrants(createGrants(permissions, onLeftOut)),
      toIdentityHeaders,
    },
  })
  for (const other of identity.additionalIssuers) {
    const rules = { ...permissions, groups: other.groups, fromClaims: 'none' as const }
    people.set(other.issuer, {
      source: {
        issuer: other.issuer,
        main: false,
        prefix: other.prefix,
        bySubject: isBySubject(config, other.issuer),
      },
      claims: { ...other.claims, permissions: [] },
      knownGroups: new Set([
        ...Object.keys(other.groups),
        ...knownGroups,
        ...groupsOfEnvironments(config)
          .filter((name) => name.startsWith(other.prefix))
          .map((name) => name.slice(other.prefix.length)),
      ]),
      parts: { naming, grants: rememberGrants(createGrants(rules)), toIdentityHeaders },
    })
  }
  return people
}
