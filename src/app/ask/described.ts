/** Somebody who is only described: the same person that a token or session with these facts would lead to. */
import { machinePrincipal, personPrincipal } from '../../authenticate/principals.js'
import { GatewayError } from '../../core/errors.js'
import type { Identity, Principal, Via } from '../../core/identity.js'
import { isReserved } from '../../names/name-store.js'
import type { AppContext } from '../context.js'
import type { Services } from '../services.js'
import type { Wish } from './wish.js'

/** Stands for the token or the session of somebody who is described; no client can send one. */
export const describedCredential = 'described'

/** A wish that names a user. */
export type Described = Wish & { readonly user: string }

/** The `sub` by which somebody comes out at a name. */
async function subjectOf(user: string, services: Services, app: AppContext): Promise<string> {
  const { aliases } = services.config.identity.username
  const alias = Object.entries(aliases).find(([, name]) => name === user)
  if (alias !== undefined) return alias[0].split('#').at(-1) ?? ''
  const owner = await app.nameRegistry.find(user)
  return owner === undefined || isReserved(owner) ? user : owner.subject
}

function machineOf({ user, scopes = [] }: Described, services: Services): Principal | undefined {
  const { machines, issuer } = services.config.identity
  const entry = Object.entries(machines).find(([, { username }]) => username === user)
  if (entry === undefined) return undefined
  const [clientId, machine] = entry
  const { parts } = services.people.get(issuer)!
  const facts = { clientId, scopes: new Set([...machine.scopes, ...scopes]) }
  return machinePrincipal(parts, machine, issuer, clientId, facts)
}

async function personOf(wish: Described, services: Services, app: AppContext): Promise<Principal> {
  const { user, groups = [], permissions = [], scopes = [], via = 'session' } = wish
  const { identity } = services.config
  const { emailLocalPart } = identity.username
  const people = services.people.get(identity.issuer)!
  const subject = await subjectOf(user, services, app)
  const email =
    emailLocalPart === false ? (user.includes('@') ? user : undefined) : `${user}@${emailLocalPart}`
  const profile = {
    subject,
    username: user,
    email,
    emailVerified: true,
    name: undefined,
    groups: groups.filter((group) => people.knownGroups.has(group)),
    permissions,
  }
  const facts = { clientId: identity.clientId, scopes: new Set(scopes) }
  return personPrincipal(people.parts, profile, people.source, facts, via)
}

/** Who that is. @throws {@link GatewayError} ERR_NAME_…: nobody can have that name */
export async function identityOf(
  wish: Described,
  services: Services,
  app: AppContext,
): Promise<Identity> {
  const { via = 'session' } = wish
  const principal = machineOf(wish, services) ?? (await personOf(wish, services, app))
  if (principal.kind === 'machine' && via === 'session') {
    const detail = 'A machine has no session: it comes with a Bearer token.'
    const found = { user: principal.user, via }
    throw new GatewayError('ERR_MACHINE_UNKNOWN', { detail, found, wanted: { via: 'bearer' } })
  }
  return {
    principal,
    via,
    expiresAt: Number.POSITIVE_INFINITY,
    accessToken: via === 'bearer' ? describedCredential : undefined,
  }
}

/** The header by which somebody who is described comes in. */
export function credentialOf(via: Via, sessionCookie: string): readonly [string, string] {
  return via === 'bearer'
    ? ['Authorization', `Bearer ${describedCredential}`]
    : ['Cookie', `${sessionCookie}=${describedCredential}`]
}
