/** `identity`: who may be who. Joins its parts: the provider, claims, names, machines, further issuers. */
import { itemsOf } from '../../draft.js'
import { shape } from '../../key.js'
import type { Resolved } from '../../key.js'
import type { Rule, Topic } from '../../topic.js'
import type { EnvironmentsPart } from '../environment-keys.js'
import type { PermissionsPart } from '../permissions.js'
import type { RoutesPart } from '../routes.js'
import type { SessionPart } from '../session.js'
import {
  additionalIssuers,
  completeIssuer,
  issuerChecks,
  issuerWarnings,
} from './additional-issuers.js'
import { checkOneName, claims, usernameClaim, warnOfClaims } from './claims.js'
import { machineChecks, machineWarnings, machines } from './machines.js'
import {
  cognitoOrigin,
  mainIssuer,
  providerChecks,
  providerKeys,
  providerWarnings,
  tokenKeys,
  trustKeys,
} from './provider.js'
import { nameChecks, nameWarnings, username } from './user-names.js'

const identity = shape('The provider, and who somebody is.', {
  ...providerKeys,
  additionalIssuers,
  machines,
  ...tokenKeys,
  claims,
  username,
  ...trustKeys,
})

/** `identity` of the configuration. `issuer` and `cognito.domain` (an origin) are filled in. */
export type IdentityConfig = Resolved<typeof identity>

/** What the rules of identity look at. */
export interface IdentityPart {
  readonly identity: IdentityConfig
}

const checkGroups: Rule<IdentityPart & RoutesPart> = ({ identity, routes }, report, given) => {
  if (identity?.claims?.groups?.length !== 0) return
  const asking = itemsOf(routes).some(([, { require }]) => require?.anyGroup !== undefined)
  if (!asking && !given(['permissions', 'groups'])) return
  report(
    ['identity', 'claims', 'groups'],
    'no claim, while groups are asked for',
    'the claim that holds the groups, such as cognito:groups',
  )
}

const checkNameClaim: Rule<IdentityPart> = ({ identity }, report) =>
  checkOneName(identity?.claims, ['identity', 'claims'], report)

const warnOfMainClaims: Rule<IdentityPart> = ({ identity }, warn) =>
  warnOfClaims(identity?.claims, ['identity', 'claims'], warn)

/** Fills in what follows from the kind of provider. */
export function completeIdentity({ identity }: IdentityPart): IdentityConfig {
  const { cognito, claims } = identity
  return {
    ...identity,
    cognito: cognito && { ...cognito, domain: cognitoOrigin(cognito) },
    issuer: mainIssuer(identity),
    claims: { ...claims, username: usernameClaim(claims, cognito !== undefined) },
    additionalIssuers: identity.additionalIssuers.map(completeIssuer),
  }
}

/** Who may be who. */
export const identityTopic = {
  keys: { identity },
  checks: [
    ...providerChecks,
    ...issuerChecks,
    ...machineChecks,
    ...nameChecks,
    checkNameClaim,
    checkGroups,
  ],
  warnings: {
    'writable-claims': warnOfMainClaims,
    ...issuerWarnings,
    ...providerWarnings,
    ...nameWarnings,
    ...machineWarnings,
  },
} satisfies Topic<
  { identity: typeof identity },
  IdentityPart & PermissionsPart & RoutesPart & SessionPart & EnvironmentsPart
>
