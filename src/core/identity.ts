/** Who a request is from: values made once per token or session and shared by every request of it. */
import type { Milliseconds } from './clock.js'

/** The kinds of credential that a rule may take. */
export const credentialKinds = ['bearer', 'session', 'token'] as const

/** How somebody proved who they are; deliveries of webhooks have rules of their own. */
export type Via = (typeof credentialKinds)[number] | 'webhook'

/** How somebody came here, as an upstream is told. `token` is a personal one; `legacy` whoever Trac itself lets in. */
export type IdentityKind = 'session' | 'bearer' | 'token' | 'machine' | 'legacy'

/** The identity headers of one principal as an upstream receives them (deploy/docs/reference/identity-headers.md); empty text if absent. */
export interface IdentityHeaders {
  readonly user: string
  readonly perms: string
  readonly email: string
  readonly name: string
  /** Percent-encoded names, sorted, with commas between; absent for nobody. */
  readonly groups?: string
  /** Absent for nobody. */
  readonly kind?: IdentityKind
}

/** What a token says of somebody, read by the configured claims and not yet judged. Small: it travels in cookies. */
export interface Profile {
  readonly subject: string
  readonly username: string | undefined
  readonly email: string | undefined
  readonly emailVerified: boolean
  readonly name: string | undefined
  /** Of those that the configuration names. */
  readonly groups: readonly string[]
  /** Trac actions claimed by the token. */
  readonly permissions: readonly string[]
}

/** Who has a name in Trac; `issuer` and `subject` are empty for one that is kept for nobody. */
export interface NameEntry {
  /** As the first one who came spelled it. */
  readonly name: string
  readonly issuer: string
  readonly subject: string
}

/** One granted action and where it came from: `group:admins`, `claim`, `authenticated`, `anonymous`. */
export interface Grant {
  readonly action: string
  readonly from: readonly string[]
}

/** What somebody may do, and what they claimed in vain. */
export interface Granted {
  readonly permissions: ReadonlySet<string>
  readonly grants: readonly Grant[]
  /** Actions that a claim named, as it named them. */
  readonly claimed: readonly string[]
  /** Those of them that the configuration does not take from a claim. */
  readonly leftOut: readonly string[]
}

/** A person or a machine, verified. Frozen; holds nothing that one request could change for another. */
export interface Principal {
  readonly kind: 'anonymous' | 'person' | 'machine'
  /** The final Trac user name; `anonymous` has the empty text. */
  readonly user: string
  /** Under what the name belongs to whoever had it first; undefined if nobody else can come out at it. */
  readonly nameKey: string | undefined
  readonly email: string | undefined
  readonly name: string | undefined
  readonly issuer: string
  readonly subject: string
  readonly clientId: string
  readonly groups: ReadonlySet<string>
  readonly scopes: ReadonlySet<string>
  /** Trac actions, meta actions expanded. */
  readonly permissions: ReadonlySet<string>
  readonly grants: readonly Grant[]
  /** Actions that a claim named, as it named them. */
  readonly claimed: readonly string[]
  /** Those of them that the configuration does not take from a claim. */
  readonly leftOut: readonly string[]
  /** Actions beyond which a personal token may do nothing, in no environment; absent: whatever its owner may do. */
  readonly ceiling?: readonly string[]
  readonly identityHeaders: IdentityHeaders
}

/** What is told of a personal token, and which rows of the policy it is for. */
export interface TokenFacts {
  readonly id: string
  /** As its owner calls it. */
  readonly name: string
  /** Undefined: wherever its owner may go. */
  readonly routes: ReadonlySet<string> | undefined
}

/** Who a request is from, and by which credential. */
export interface Identity {
  readonly principal: Principal
  /** Absent for an anonymous visitor. */
  readonly via: Via | undefined
  /** When the token or session behind it ends. */
  readonly expiresAt: Milliseconds
  /** The personal token that it came by, where `via` is `token`. */
  readonly token?: TokenFacts
  /** The access token of a session, to pass to upstreams with `forwardAccessToken`; a Bearer request brings its own. */
  readonly accessToken: string | undefined
}

/** A person or machine as it is counted. */
export function principalKey({ issuer, subject }: { issuer: string; subject: string }): string {
  return `${issuer} ${subject}`
}
