/** Personal tokens as a configuration wants them: where they are kept, who may use one, and how all of a person's are ended. */
import { createPersonalTokens } from '../authenticate/personal-token.js'
import type { PersonalLookup } from '../authenticate/personal-token.js'
import type { BadTokens } from '../authenticate/bad-tokens.js'
import type { SettleName } from '../authenticate/own-name.js'
import type { Config } from '../config/schema.js'
import type { Milliseconds, Now, Timers } from '../core/clock.js'
import type { Principal, Profile } from '../core/identity.js'
import type { RedisLink } from '../session/redis-link.js'
import type { Revocations } from '../session/revocations.js'
import { isSameSubject } from '../session/seen-people.js'
import type { Subject } from '../session/seen-people.js'
import { LocalTokens } from '../tokens/local-tokens.js'
import { RedisTokens } from '../tokens/redis-tokens.js'
import type { TokenStore } from '../tokens/token-store.js'
import { foldName } from '../trac/user-names.js'
import type { AppContext } from './context.js'

/** Where they are kept: in Redis if sessions are there, else in the file; undefined without one. @throws Error — the file can't be used */
export function openTokens(
  { tokens }: Config,
  redis: RedisLink | undefined,
  now: Now,
  timers: Timers,
): TokenStore | undefined {
  if (redis !== undefined) return new RedisTokens(redis, now, timers)
  return tokens?.file === undefined ? undefined : new LocalTokens(tokens.file, now, timers)
}

/**
 * How long the end of a token is told to other replicas, and to what is under way here. It is gone from the store, so that
 * this need only outlive what they remember of it.
 */
const endLife: Milliseconds = 600_000

const endKey = (id: string): string => `personal-token ${id}`

/** Whether a token was ended lately. */
export const hasTokenEnded =
  (revocations: Pick<Revocations, 'isIdRevoked'>) =>
  (id: string): boolean =>
    revocations.isIdRevoked(endKey(id))

/** Ends tokens, here at once and at other replicas within a second. */
export class TokenEndings {
  readonly #store: TokenStore
  readonly #revocations: Revocations
  readonly #now: Now

  constructor(store: TokenStore, { revocations }: AppContext['storage'], now: Now) {
    this.#store = store
    this.#revocations = revocations
    this.#now = now
  }

  /** Ends one of somebody's own. @returns whether there was one; @throws ERR_STORE_UNAVAILABLE, ERR_REVOCATIONS_FULL */
  async end(owner: Subject, id: string): Promise<boolean> {
    const wasThere = await this.#store.remove(owner, id)
    if (wasThere) await this.#tell([id])
    return wasThere
  }

  /**
   * Ends all tokens of these people, and of whoever was known under a name when they last proved who they are.
   * @returns how many there were
   */
  async endAll(subjects: readonly Subject[], user: string | undefined): Promise<number> {
    const isNamed = (name: string) => user !== undefined && foldName(name) === foldName(user)
    const others = user === undefined ? [] : await this.#store.owners()
    const named = others.filter(
      (one) => isNamed(one.user) && !subjects.some((other) => isSameSubject(one, other)),
    )
    const ids: string[] = []
    for (const owner of [...subjects, ...named]) ids.push(...(await this.#store.removeAll(owner)))
    await this.#tell(ids)
    return ids.length
  }

  async #tell(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.#revocations.endId(endKey(id), this.#now() + endLife)
  }
}

/** What a configuration brings to them. */
export interface TokenServiceParts {
  readonly badTokens: BadTokens
  readonly settle: SettleName
  readonly toPrincipal: (profile: Profile) => Principal
}

/** The look-up; undefined where the configuration has no personal tokens. */
export function createTokenLookup(
  { tokens }: Config,
  { tokenStore: store, storage, now }: AppContext,
  parts: TokenServiceParts,
): PersonalLookup | undefined {
  if (tokens === undefined || store === undefined) return undefined
  const { revocations } = storage
  return createPersonalTokens({
    ...parts,
    store,
    isEnded: hasTokenEnded(revocations),
    catchUp: () => revocations.catchUp(),
    maxAge: tokens.maxAge,
    ownerSeen: tokens.ownerSeen,
    now,
  })
}

/**
 * Notes that somebody proved who they are: their tokens have the groups of this proof from now on. Nobody waits for it, and
 * where it can't be kept they have those of the one before.
 */
export function createProofs(
  { tokens, identity }: Config,
  { tokenStore: store, logger, now }: AppContext,
  toPrincipal: (profile: Profile) => Principal,
) {
  const prove = async (subject: string, profile: Profile | undefined): Promise<void> => {
    const proof = profile && { user: toPrincipal(profile).user, profile }
    await store?.prove({ issuer: identity.issuer, subject }, now(), proof)
  }
  return (subject: string, profile: Profile | undefined): void => {
    if (tokens === undefined) return
    prove(subject, profile).catch((cause: unknown) => {
      logger.warn({ cause, sub: subject }, 'a proof of the owner of personal tokens was not kept')
    })
  }
}
