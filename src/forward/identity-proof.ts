/** Who an upstream is told a request is from, and the signature that proves it: for forwarded requests and `/auth/verify`. */
import type { IdentityHeaders } from '../core/identity.js'
import type { Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { maxFlowSeconds } from '../core/flow-meter.js'
import type { RequestContext } from '../request/context.js'
import { versionFor } from '../trac/signature.js'
import type { SignatureVersion, Signer } from '../trac/signature.js'

/** What is signed of whom Trac is to look at by itself. */
const legacyHeaders: IdentityHeaders = Object.freeze({
  user: '',
  perms: '',
  email: '',
  name: '',
  kind: 'legacy',
})

/** What the proof depends on. */
export interface IdentityProofParts {
  /** `Host` as the upstream sees it. */
  readonly host: string
  /** The identity headers of nobody. */
  readonly anonymous: IdentityHeaders
  /** Bytes a second that a body must have at least. */
  readonly minimumRate: number
  readonly now: Now
}

/** Identity headers and their signature, empty text for an upstream without keys. */
export interface IdentityProof {
  readonly identityHeaders: IdentityHeaders
  readonly signature: string
  /** Groups and kind are told of from version 2 on. */
  readonly version: SignatureVersion
}

/**
 * Makes the proof for one request.
 * @param bodyBytes how long the body may be; 0 without one
 */
export type ProveIdentity = (
  context: RequestContext,
  sign: Signer | undefined,
  bodyBytes: number,
) => IdentityProof

/**
 * A public route tells nobody's identity or token, and a preflight has none: browsers send it without credentials. Whom
 * Trac is to look at by itself it is always told of.
 */
export function isToldToUpstream({ route, preflight, isLegacy }: RequestContext): boolean {
  return isLegacy || (route.access !== 'public' && !preflight)
}

/** Builds the one function that says who a request is from. */
export function createIdentityProof(parts: IdentityProofParts): ProveIdentity {
  const { host, anonymous, minimumRate, now } = parts
  const headersOf = (context: RequestContext): IdentityHeaders => {
    if (context.isLegacy) return legacyHeaders
    const { identity, environment } = context
    if (isToldToUpstream(context)) return identity.principal.identityHeaders
    return environment?.anonymous.principal.identityHeaders ?? anonymous
  }
  return (context, sign, bodyBytes) => {
    // Nothing goes to an upstream without this: what came here unproven would be a fault of ours.
    if (context.isClaimed) throw new GatewayError('ERR_INTERNAL')
    const identityHeaders = headersOf(context)
    const version = versionFor(identityHeaders, sign?.version ?? 1)
    if (sign === undefined) return { identityHeaders, signature: '', version }
    const { method, target } = context
    const signed = { method, host, path: target.path, query: target.query }
    const bodySeconds = bodyBytes === 0 ? 0 : maxFlowSeconds(bodyBytes, minimumRate)
    const signature = sign(signed, identityHeaders, Math.floor(now() / 1000), bodySeconds)
    return { identityHeaders, signature, version }
  }
}
