/** The personal tokens of all replicas, in Redis or Valkey: a hash for each owner, which goes with their last token. */
import { LRUCache } from 'lru-cache'
import type { Milliseconds, Now, Timers } from '../core/clock.js'
import type { Profile } from '../core/identity.js'
import { SingleFlight } from '../core/single-flight.js'
import { readKept } from '../session/redis-link.js'
import type { RedisLink } from '../session/redis-link.js'
import { ownerKey, ownerKeyOf } from './token-form.js'
import type { Owner } from './token-form.js'
import { proofStep, readHour, readOwner, readWritten, writeToken } from './token-store.js'
import type {
  Added,
  KeptToken,
  ListedToken,
  OwnerProof,
  PersonalToken,
  TokenOwner,
  TokenStore,
} from './token-store.js'
import { UseNotes } from './use-notes.js'
import type { Use } from './use-notes.js'

/** For so long a copy counts without a look into Redis; what ends a token is heard of by the list of revocations, and sooner. */
const copyLife: Milliseconds = 5000
/** Copies in memory, of about 2 KB each; the least used is read again. */
const maxCopies = 10_000

/** A copy, and the texts that it was read from. */
interface Copy {
  readonly kept: KeptToken
  readonly texts: string
  readAt: Milliseconds
}

/** An owner as Redis holds them; later releases read it, too. When they proved it stands beside it. */
type WrittenOwner = readonly [issuer: string, subject: string, user: string, profile: Profile]

const tokenOf = (written: string): PersonalToken => readKept(() => readWritten(JSON.parse(written)))

const ownerOf = (written: string, provenAt: string): TokenOwner =>
  readKept(() => {
    const [issuer, subject, user, profile] = JSON.parse(written) as Partial<WrittenOwner>
    return readOwner({ issuer, subject, user, profile, provenAt: Number(provenAt) })
  })

const writeOwner = ({ issuer, subject }: Owner, { user, profile }: OwnerProof): string =>
  JSON.stringify([issuer, subject, user, profile] satisfies WrittenOwner)

/** The store; it writes down by itself what was used, until it is closed. */
export class RedisTokens implements TokenStore {
  readonly #link: RedisLink
  readonly #now: Now
  readonly #start: string
  /** Keyed by ids that Redis has: nothing that a client makes up gets in. */
  readonly #copies = new LRUCache<string, Copy>({ max: maxCopies })
  readonly #finds = new SingleFlight<KeptToken | undefined>()
  readonly #notes: UseNotes

  constructor(link: RedisLink, now: Now, timers: Timers) {
    this.#link = link
    this.#now = now
    this.#notes = new UseNotes(timers, (uses) => this.#writeUses(uses))
    this.#start = `${link.prefix}tokens:`
  }

  known(id: string): KeptToken | undefined {
    const copy = this.#copies.get(id)
    return copy !== undefined && this.#now() < copy.readAt + copyLife ? copy.kept : undefined
  }

  find(id: string): Promise<KeptToken | undefined> {
    return this.#finds.run(id, () => this.#find(id))
  }

  async list(owner: Owner): Promise<readonly ListedToken[]> {
    const fields = await this.#link.ask((client) => client.hgetall(this.#keyOf(owner)))
    return Object.entries(fields)
      .filter(([field]) => field.startsWith('t '))
      .map(([, written]) => {
        const token = tokenOf(written)
        const hour = this.#notes.of(token.id) ?? fields[`u ${token.id}`]
        const usedIn = hour === undefined ? undefined : readKept(() => readHour(hour))
        return { ...token, usedIn }
      })
  }

  async add(token: PersonalToken, owner: TokenOwner, maxEach: number): Promise<Added> {
    const { id, name, expiresAt } = token
    const state = await this.#link.ask((client) =>
      client.addToken(
        this.#keyOf(owner),
        ...([id, JSON.stringify(writeToken(token)), name, expiresAt] as const),
        ...([writeOwner(owner, owner), owner.provenAt, maxEach, this.#now()] as const),
      ),
    )
    return state
  }

  async remove(owner: Owner, id: string): Promise<boolean> {
    if (ownerKeyOf(id) !== ownerKey(owner)) return false
    this.#copies.delete(id)
    return (await this.#link.ask((client) => client.removeToken(this.#keyOf(owner), id))) === 1
  }

  async removeAll(owner: Owner): Promise<readonly string[]> {
    const ids = await this.#link.ask((client) => client.removeTokens(this.#keyOf(owner)))
    for (const id of ids) this.#copies.delete(id)
    return ids
  }

  async prove(owner: Owner, at: Milliseconds, proof: OwnerProof | undefined): Promise<void> {
    const written = proof === undefined ? '' : writeOwner(owner, proof)
    await this.#link.ask((client) => client.proveOwner(this.#keyOf(owner), at, written, proofStep))
  }

  async owners(): Promise<readonly TokenOwner[]> {
    const owners: TokenOwner[] = []
    for await (const key of this.#link.keys(this.#start)) {
      const [written, at] = await this.#link.ask((client) => client.hmget(key, 'owner', 'proven'))
      if (written !== null && written !== undefined) owners.push(ownerOf(written, at ?? '0'))
    }
    return owners
  }

  noteUse(id: string, hour: number): void {
    this.#notes.note(id, hour)
  }

  flush(): Promise<void> {
    return this.#notes.flush()
  }

  close(): void {
    this.#notes.close()
  }

  #keyOf(owner: Owner): string {
    return this.#start + ownerKey(owner)
  }

  async #find(id: string): Promise<KeptToken | undefined> {
    const askedAt = this.#now()
    const [token, owner, proven] = await this.#link.ask((client) =>
      client.hmget(this.#start + ownerKeyOf(id), `t ${id}`, 'owner', 'proven'),
    )
    if (typeof token !== 'string' || typeof owner !== 'string') {
      this.#copies.delete(id)
      return undefined
    }
    const texts = `${token}\n${owner}\n${proven}`
    const copy = this.#copies.get(id)
    if (copy?.texts === texts) {
      copy.readAt = askedAt
      return copy.kept
    }
    const kept = { token: tokenOf(token), owner: ownerOf(owner, proven ?? '0') }
    this.#copies.set(id, { kept, texts, readAt: askedAt })
    return kept
  }

  async #writeUses(uses: readonly Use[]): Promise<void> {
    for (const [id, hour] of uses) {
      await this.#link.ask((client) => client.noteTokenUse(this.#start + ownerKeyOf(id), id, hour))
    }
  }
}
