/** Lets nobody in under a name that is somebody else's: asked by every request, answered by one look into a map. */
import type { Identity, Principal } from '../core/identity.js'

/**
 * The principal under the name that is its own, without a promise if that is known.
 * @throws {@link GatewayError} (rejects or throws) ERR_NAME_TAKEN, ERR_NAME_RESERVED, ERR_NAME_REFUSED, ERR_NAMES_FULL,
 *   ERR_STORE_UNAVAILABLE
 */
export type SettleName = (principal: Principal) => Principal | Promise<Principal>

/** An identity under its own name; the very same one in the usual case. @throws as {@link SettleName} */
export function withOwnName(identity: Identity, settle: SettleName): Identity | Promise<Identity> {
  const settled = settle(identity.principal)
  if (settled === identity.principal) return identity
  return settled instanceof Promise
    ? settled.then((principal) => under(identity, principal))
    : under(identity, settled)
}

const under = (identity: Identity, principal: Principal): Identity =>
  principal === identity.principal ? identity : { ...identity, principal }
