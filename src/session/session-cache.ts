/** Open sessions in memory: copies of what the store has, found by hash, the newest of each told apart. */
import { LRUCache } from 'lru-cache'
import { GatewayError } from '../core/errors.js'
import { fingerprint } from '../core/fingerprint.js'
import type { Milliseconds, Now } from '../core/clock.js'
import type { Identity, Principal, Profile } from '../core/identity.js'
import { SingleFlight } from '../core/single-flight.js'
import { maxSessionLength } from './cookies.js'
import type { SessionMemory } from './memory.js'
import type { TokenIdentifiers } from './revocations.js'
import type { SessionRecord, SessionStore, StoredSession } from './store.js'

/** A session that opened. */
export interface OpenSession {
  readonly record: SessionRecord
  /** The cookie's value. */
  readonly value: string
  readonly identity: Identity
  readonly identifiers: TokenIdentifiers
  /** Revocations were last checked at this generation. */
  checkedAt: number
  /** The provider's last word was no: serves until its tokens end. */
  final: boolean
  /** No attempt to renew before. */
  retryAt: Milliseconds
  /** When the store was last asked for it. */
  readAt: Milliseconds
  /** The shelf it stands on: another configuration may give the same record another identity. */
  readonly cache: object
}

/** What a shelf is built with. */
export interface SessionCacheOptions {
  readonly store: SessionStore
  readonly memory: SessionMemory
  /** @throws {@link GatewayError} ERR_NAME_… — the configuration no longer lets that person in */
  readonly toPrincipal: (profile: Profile) => Principal
  readonly now: Now
  readonly issuer: string
  /** The longest life of a session, from sign-in. */
  readonly maxAge: Milliseconds
}

/** Open sessions kept in memory: about 4 KB each. Beyond it the least used must be opened again. */
const maxOpen = 10_000

/** The open sessions of one process. */
export type SessionCache = ReturnType<typeof createSessionCache>

/** Creates an empty shelf over a store. */
export function createSessionCache(options: SessionCacheOptions) {
  const { store, now } = options
  // Keyed by the hash of a value that opened: nothing a client makes up gets in.
  const byValue = new LRUCache<string, OpenSession>({ max: maxOpen })
  const { newest } = options.memory
  const self = {}
  const reading = new SingleFlight<StoredSession | undefined>()

  const identifiersOfRecord = (record: SessionRecord): TokenIdentifiers => ({
    issuer: options.issuer,
    ids: record.ids,
    subject: record.profile.subject,
    namesSignIn: true,
    since: record.auth * 1000,
  })

  const admit = (record: SessionRecord, value: string): OpenSession => {
    const session: OpenSession = {
      record,
      value,
      identity: {
        principal: options.toPrincipal(record.profile),
        via: 'session',
        // What no renewal can move any more is an end, too: the browser warns before it.
        expiresAt: Math.min(record.exp * 1000, record.start * 1000 + options.maxAge),
        accessToken: record.access,
      },
      identifiers: identifiersOfRecord(record),
      checkedAt: -1,
      final: false,
      retryAt: 0,
      readAt: now(),
      cache: self,
    }
    byValue.set(fingerprint(value), session)
    return session
  }

  /** A name that the configuration refuses by now ends the session. */
  const tryAdmit = (record: SessionRecord, value: string): OpenSession | undefined => {
    try {
      return admit(record, value)
    } catch (error) {
      if (error instanceof GatewayError && error.status === 401) return undefined
      throw error
    }
  }

  const remember = (session: OpenSession): void => {
    const known = newest.get(session.record.id)
    if (known === undefined || known.record.v < session.record.v) {
      newest.set(session.record.id, session)
    }
  }

  const forget = ({ record, value }: OpenSession): void => {
    byValue.delete(fingerprint(value))
    newest.delete(record.id)
  }

  /** One look into the store at a time for each value. */
  const read = (value: string): Promise<StoredSession | undefined> =>
    reading.run(fingerprint(value), () => store.open(value))

  /** The session as the store has it now; undefined if it has none. */
  const load = async (value: string): Promise<OpenSession | undefined> =>
    take(value, await read(value))

  const take = async (
    value: string,
    stored: StoredSession | undefined,
  ): Promise<OpenSession | undefined> => {
    const known = byValue.get(fingerprint(value))
    if (stored === undefined) {
      if (known !== undefined && store.shared) forget(known)
      return undefined
    }
    // Those who came at the same time share what they learn of it.
    if (known === undefined || known.record.v < stored.record.v) {
      return tryAdmit(stored.record, value)
    }
    // The store lost what was written here last (a failover does that).
    if (known.record.v > stored.record.v && store.shared) await store.write(known.record, false)
    known.readAt = now()
    return known
  }

  /** The same session as this configuration sees it; undefined if that no longer lets the person in. */
  const own = (session: OpenSession): OpenSession | undefined => {
    if (session.cache === self) return session
    const mine = tryAdmit(session.record, session.value)
    if (mine !== undefined) newest.set(session.record.id, mine)
    return mine
  }

  const newestOf = (session: OpenSession): OpenSession => {
    const known = newest.get(session.record.id)
    return known !== undefined && known.record.v > session.record.v
      ? (own(known) ?? session)
      : session
  }

  /** Writes the next version; undefined if another replica's came first, or the session was ended meanwhile. */
  const keep = async (record: SessionRecord, insist = false): Promise<OpenSession | undefined> => {
    const value = await store.write(record, insist).catch((error: unknown) => {
      // What can't be had again is remembered at least here, and written at the next chance. (Only a store
      // behind handles can fail, and the id is the handle.)
      if (insist) remember(admit(record, record.id))
      throw error
    })
    if (value === undefined) return undefined
    if (value.length > maxSessionLength) throw new GatewayError('ERR_SESSION_TOO_LARGE')
    const session = admit(record, value)
    remember(session)
    return session
  }

  return {
    /** The copy of a value, however old; undefined if it is not here. */
    find: (value: string): OpenSession | undefined => byValue.get(fingerprint(value)),
    /** What is known here of the same session and is at least as new. */
    newestOf,
    own,
    keep,
    forget,
    read,
    take,
    load,
    /** How many there are. */
    get size() {
      return byValue.size
    },
  }
}
