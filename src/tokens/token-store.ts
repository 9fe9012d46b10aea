/** Where personal tokens are kept: what every store of them can do. */
import type { Milliseconds } from '../core/clock.js'
import type { Profile } from '../core/identity.js'
import { isText, isTexts } from '../core/json-values.js'
import type { Owner } from './token-form.js'

/** Tokens that a file keeps at most; nothing is dropped for a new one. About 500 bytes each. */
export const maxTokens = 100_000

/** A token as it is kept: nothing in it can be used in its place. */
export interface PersonalToken {
  readonly id: string
  /** As its owner calls it; no two of one owner have the same. */
  readonly name: string
  /** SHA-256 of its secret, in base64url. */
  readonly hash: string
  readonly createdAt: Milliseconds
  readonly expiresAt: Milliseconds
  /** Names of the rows that it is for; undefined: wherever its owner may go. */
  readonly routes: readonly string[] | undefined
  /** Trac actions beyond which it may do nothing; undefined: whatever its owner may do. */
  readonly permissions: readonly string[] | undefined
}

/** Whose a token is, as they last proved it by a sign-in or a renewal of their session. */
export interface TokenOwner extends Owner {
  /** The name as Trac knows it. */
  readonly user: string
  readonly profile: Profile
  readonly provenAt: Milliseconds
}

/** A token with its owner. As long as neither changes, a store answers the very same two. */
export interface KeptToken {
  readonly token: PersonalToken
  readonly owner: TokenOwner
}

/** A token as its owner is shown it. */
export interface ListedToken extends PersonalToken {
  /** The hour in which it was last used, as hours since 1970; undefined if it never was, or not since that was lost. */
  readonly usedIn: number | undefined
}

/** What became of a new token: its owner has too many, or one of that name; or the store is full. */
export type Added = 'kept' | 'many' | 'named' | 'full'

/** Keeps tokens. Whatever goes wrong rejects with ERR_STORE_UNAVAILABLE. */
export interface TokenStore {
  /** What this process knows of a token; undefined if it must look. */
  known(id: string): KeptToken | undefined
  find(id: string): Promise<KeptToken | undefined>
  list(owner: Owner): Promise<readonly ListedToken[]>
  /** Keeps a token and its owner's proof before it resolves; tokens of theirs that have ended make way. */
  add(token: PersonalToken, owner: TokenOwner, maxEach: number): Promise<Added>
  /** Whether it was there. */
  remove(owner: Owner, id: string): Promise<boolean>
  /** Removes all tokens of an owner. @returns their ids */
  removeAll(owner: Owner): Promise<readonly string[]>
  /**
   * Notes that somebody proved who they are; of somebody without tokens nothing is kept.
   * @param profile undefined: as it was
   */
  prove(owner: Owner, at: Milliseconds, proof: OwnerProof | undefined): Promise<void>
  /** Everybody who has tokens. For an operator's work only: it may look at all there are. */
  owners(): Promise<readonly TokenOwner[]>
  /** Notes that a token was used; it is written down later, and nobody waits for it. */
  noteUse(id: string, hour: number): void
  /** Writes down what is not yet. */
  flush(): Promise<void>
  close(): void
}

/** What somebody was found to be when they proved who they are. */
export type OwnerProof = Pick<TokenOwner, 'user' | 'profile'>

const hour: Milliseconds = 3_600_000

/** The hour of an instant, since 1970. */
export const hourOf = (at: Milliseconds): number => Math.floor(at / hour)

/** Proofs of one owner are written down no more often, if they say the same. */
export const proofStep: Milliseconds = hour

/** A token in writing; later releases read it, too. */
interface WrittenToken {
  readonly id: string
  readonly name: string
  readonly hash: string
  readonly at: Milliseconds
  readonly exp: Milliseconds
  readonly routes?: readonly string[]
  readonly perms?: readonly string[]
}

/** The written form of a token. */
export function writeToken(token: PersonalToken): WrittenToken {
  const { id, name, hash, createdAt: at, expiresAt: exp, routes, permissions: perms } = token
  return {
    ...{ id, name, hash, at, exp },
    ...(routes === undefined ? {} : { routes }),
    ...(perms === undefined ? {} : { perms }),
  }
}

const isOptional = (value: unknown, is: (value: unknown) => boolean): boolean =>
  value === undefined || is(value)

type Unread<T> = { readonly [K in keyof T]?: unknown }

function isWritten(value: Unread<WrittenToken>): value is WrittenToken {
  const { id, name, hash, at, exp, routes, perms } = value
  const isBounded = isOptional(routes, isTexts) && isOptional(perms, isTexts)
  return [id, name, hash].every(isText) && [at, exp].every(Number.isFinite) && isBounded
}

/**
 * The token of a written form, which only {@link writeToken} makes.
 * @throws Error — it is damaged: an end that is none would never come
 */
export function readWritten(value: unknown): PersonalToken {
  const written = (value ?? {}) as Unread<WrittenToken>
  if (!isWritten(written)) throw new Error('no token')
  const { id, name, hash, at, exp, routes, perms } = written
  return { id, name, hash, createdAt: at, expiresAt: exp, routes, permissions: perms }
}

function isProfile(value: unknown): value is Profile {
  const { subject, username, email, emailVerified, name, groups, permissions } = (value ??
    {}) as Unread<Profile>
  const areTexts = [username, email, name].every((text) => isOptional(text, isText))
  const isWhole = isText(subject) && typeof emailVerified === 'boolean'
  return isWhole && areTexts && isTexts(groups) && isTexts(permissions)
}

function isOwner(value: Unread<TokenOwner>): value is TokenOwner {
  const { issuer, subject, user, profile, provenAt } = value
  return [issuer, subject, user].every(isText) && Number.isFinite(provenAt) && isProfile(profile)
}

/** The owner of a written form. @throws Error — it is damaged: a proof of no time would hold for ever */
export function readOwner(value: unknown): TokenOwner {
  const written = (value ?? {}) as Unread<TokenOwner>
  if (!isOwner(written)) throw new Error('no owner')
  const { issuer, subject, user, profile, provenAt } = written
  return { issuer, subject, user, profile, provenAt }
}

/** The hour of a use, as it was written. @throws Error — it is damaged */
export function readHour(value: unknown): number {
  const hour = Number(value)
  if (!Number.isFinite(hour)) throw new Error('no hour')
  return hour
}
