/** Open sessions in memory: copies of what the store has, found by hash, the newest of each told apart. */
import { LRUCache } from 'lru-cache'
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import { fingerprint } from '../core/fingerprint.js'
import type { Principal, Profile } from '../core/identity.js'
import { SingleFlight } from '../core/single-flight.js'
import { maxSessionLength } from './cookies.js'
import type { OpenSession } from './open-session.js'
import type { ProcessState } from './process-state.js'
import type { SessionRecord } from './session-record.js'
import type { SessionStore, StoredSession } from './session-store.js'

/** What the cache is built with. */
export interface SessionCacheOptions {
  readonly store: SessionStore
  readonly state: ProcessState
  /** @throws {@link GatewayError} ERR_NAME_… — the configuration no longer lets that person in */
  readonly toPrincipal: (profile: Profile) => Principal
  readonly now: Now
  readonly issuer: string
  /** The greatest age of a session, from sign-in. */
  readonly maxAge: Milliseconds
}

/** What `open` gives; undefined if the configuration no longer lets the person in. */
function whereAdmitted(open: () => OpenSession): OpenSession | undefined {
  try {
    return open()
  } catch (error) {
    if (error instanceof GatewayError && error.status === 401) return undefined
    throw error
  }
}

/** Open sessions in memory: about 4.6 KB each. Beyond it the least used must be opened again. */
const maxOpen = 10_000

/** The open sessions of one configuration. */
export class SessionCache {
  readonly #options: SessionCacheOptions
  /** Keyed by the hash of a value that opened: nothing that a client makes up gets in. */
  readonly #byValue = new LRUCache<string, OpenSession>({ max: maxOpen })
  readonly #reads = new SingleFlight<StoredSession | undefined>()
  /** Stands for this cache in its sessions, so that those that outlive a reload don't hold the whole of it. */
  readonly #token = {}

  constructor(options: SessionCacheOptions) {
    this.#options = options
  }

  /** How many there are. */
  get size(): number {
    return this.#byValue.size
  }

  /** The copy of a value, however old; undefined if there is none. */
  find(value: string, hash = fingerprint(value)): OpenSession | undefined {
    return this.#byValue.get(hash)
  }

  /** Whether a copy counts without a look into the store. */
  isFresh(session: OpenSession): boolean {
    const { now, store } = this.#options
    return now() < session.readAt + store.copyLife
  }

  /** Looks into the store, once for all who ask for a value at the same time. */
  read(value: string): Promise<StoredSession | undefined> {
    return this.#reads.run(fingerprint(value), () => this.#options.store.read(value))
  }

  /** The session as the store has it now; undefined if it has none. */
  async load(value: string): Promise<OpenSession | undefined> {
    return this.accept(value, await this.read(value))
  }

  /** Brings the copy of a value in line with what the store has. */
  async accept(value: string, stored: StoredSession | undefined): Promise<OpenSession | undefined> {
    const { store, now } = this.#options
    const known = this.find(value)
    if (stored === undefined) {
      if (known !== undefined && store.shared) this.forget(known)
      return undefined
    }
    // Those who came at the same time share what they learn of it.
    if (known === undefined || known.record.version < stored.record.version) {
      return this.#openIfAdmitted(stored.record, value)
    }
    // The store lost what was written here last (a failover does that).
    if (known.record.version > stored.record.version && store.shared) {
      await store.write(known.record, false)
    }
    known.readAt = now()
    return known
  }

  /** The same session as this configuration sees it; undefined if that no longer lets the person in. */
  localize(session: OpenSession): OpenSession | undefined {
    if (session.openedBy === this.#token) return session
    const local = this.#openIfAdmitted(session.record, session.value)
    if (local !== undefined) this.#options.state.newest.set(session.record.id, local)
    return local
  }

  /** The newest version of a session that is known here. */
  newestOf(session: OpenSession): OpenSession {
    const newest = this.#options.state.newest.get(session.record.id)
    if (newest === undefined || newest.record.version <= session.record.version) return session
    return this.localize(newest) ?? session
  }

  /**
   * Writes a version of a session.
   * @param retries as in {@link SessionStore.write}
   * @returns undefined if another replica's version came first, or the session was ended meanwhile
   */
  async save(record: SessionRecord, retries: boolean): Promise<OpenSession | undefined> {
    const value = await this.#options.store.write(record, retries).catch((error: unknown) => {
      // What can't be had again is remembered at least here, and written at the next chance. Only a store behind
      // handles can fail, and there the id is the cookie's value.
      if (retries) this.#rememberNewest(this.#open(record, record.id))
      throw error
    })
    if (value === undefined) return undefined
    if (value.length > maxSessionLength) {
      const facts = { found: { bytes: value.length }, wanted: { bytes: maxSessionLength } }
      throw new GatewayError('ERR_SESSION_TOO_LARGE', facts)
    }
    const session = this.#open(record, value)
    this.#rememberNewest(session)
    return session
  }

  /** The newest version of each session in memory. */
  *newest(): Generator<OpenSession> {
    const ids = new Set<string>()
    for (const session of [...this.#byValue.values(), ...this.#options.state.newest.values()]) {
      const newest = this.newestOf(session)
      if (ids.has(newest.record.id)) continue
      ids.add(newest.record.id)
      yield newest
    }
  }

  /**
   * The newest session of a value as it stands, here or in the store; nothing is kept.
   * @returns no session and `isStale` undefined: the value leads to none; no session alone: its person is not let in
   */
  async look(
    value: string,
    toPrincipal: SessionCacheOptions['toPrincipal'],
  ): Promise<{ session: OpenSession | undefined; isStale: boolean | undefined }> {
    const known = this.#byValue.peek(fingerprint(value))
    if (known !== undefined && this.isFresh(known)) {
      return { session: this.#newestSeen(known, toPrincipal), isStale: false }
    }
    const stored = await this.#options.store.read(value)
    if (stored === undefined) return { session: undefined, isStale: undefined }
    const { record, stale: isStale } = stored
    const isKnown = known !== undefined && known.record.version >= record.version
    const session = isKnown ? known : this.#unkept(record, value, toPrincipal)
    return { session: session && this.#newestSeen(session, toPrincipal), isStale }
  }

  #newestSeen(
    session: OpenSession,
    toPrincipal: SessionCacheOptions['toPrincipal'],
  ): OpenSession | undefined {
    const newest = this.#options.state.newest.peek(session.record.id)
    if (newest === undefined || newest.record.version <= session.record.version) return session
    if (newest.openedBy === this.#token) return newest
    return this.#unkept(newest.record, newest.value, toPrincipal) ?? session
  }

  #unkept(
    record: SessionRecord,
    value: string,
    toPrincipal: SessionCacheOptions['toPrincipal'],
  ): OpenSession | undefined {
    return whereAdmitted(() => this.#make(record, value, toPrincipal))
  }

  /** A record as a session that is not kept; undefined if the configuration no longer lets its person in. */
  openUnkept(record: SessionRecord): OpenSession | undefined {
    return this.#openIfAdmitted(record, undefined)
  }

  /** Forgets a session. */
  forget({ record, value }: OpenSession): void {
    this.#byValue.delete(fingerprint(value))
    this.#options.state.newest.delete(record.id)
  }

  #rememberNewest(session: OpenSession): void {
    const { newest } = this.#options.state
    const known = newest.get(session.record.id)
    if (known === undefined || known.record.version < session.record.version) {
      newest.set(session.record.id, session)
    }
  }

  /** A name that the configuration no longer takes ends the session. */
  #openIfAdmitted(record: SessionRecord, value: string | undefined): OpenSession | undefined {
    return whereAdmitted(() =>
      value === undefined ? this.#make(record, record.id) : this.#open(record, value),
    )
  }

  #open(record: SessionRecord, value: string): OpenSession {
    const session = this.#make(record, value)
    this.#byValue.set(fingerprint(value), session)
    return session
  }

  #make(
    record: SessionRecord,
    value: string,
    toPrincipal: SessionCacheOptions['toPrincipal'] = this.#options.toPrincipal,
  ): OpenSession {
    const { maxAge, issuer, now } = this.#options
    return {
      record,
      value,
      identity: {
        principal: toPrincipal(record.profile),
        via: 'session',
        // The greatest age is an end, too, and no renewal moves it: the browser warns before it.
        expiresAt: Math.min(record.expiresAt, record.startedAt + maxAge),
        accessToken: record.accessToken,
      },
      identifiers: {
        issuer,
        ids: record.tokenIds,
        subject: record.profile.subject,
        issuedAt: record.issuedAt,
        begunAt: record.begunAt,
      },
      checkedGeneration: -1,
      final: false,
      retryAt: 0,
      waitsUntil: 0,
      readAt: now(),
      openedBy: this.#token,
    }
  }
}
