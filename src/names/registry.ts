/** A name belongs to who had it first: another person who comes out at it is refused (deploy/docs/guides/permissions.md#names). */
import { GatewayError } from '../core/errors.js'
import type { NameEntry, Principal } from '../core/identity.js'
import { encodeName } from '../trac/identity-headers.js'
import { foldName } from '../trac/user-names.js'
import { LookedAtNames } from './looked-at-names.js'
import { isReserved, personOf } from './name-store.js'
import type { NameStore } from './name-store.js'

/** What is heard of names. */
export interface RegistryEvents {
  /** Somebody who had other names came under a new one. */
  readonly onRenamed: (entry: NameEntry, earlier: readonly string[]) => void
  readonly onRefused: (reason: 'taken' | 'reserved' | 'many' | 'full') => void
}

/** What became of an operator's wish for one name. */
export type Outcome =
  | { readonly name: string; readonly done: true; readonly was?: NameEntry }
  | { readonly name: string; readonly done: false; readonly why: string }

/** The names of one gateway and all its replicas. */
export class NameRegistry {
  readonly #store: NameStore
  readonly #events: RegistryEvents
  /** Principals that the registry spells as the first one who came did. */
  readonly #respelled = new WeakMap<Principal, Principal>()

  constructor(store: NameStore, events: RegistryEvents) {
    this.#store = store
    this.#events = events
  }

  /** How many names this process knows. */
  get size(): number {
    return this.#store.size
  }

  /**
   * The principal, if its name is its own; where it came spelled in another way before, under that spelling. Known pairs
   * cost one look into a map, and no promise.
   * @throws {@link GatewayError} (rejects or throws) ERR_NAME_TAKEN, ERR_NAME_RESERVED, ERR_NAME_REFUSED,
   *   ERR_NAMES_FULL, ERR_STORE_UNAVAILABLE
   */
  settle(principal: Principal): Principal | Promise<Principal> {
    const { nameKey } = principal
    if (nameKey === undefined) return principal
    const entry = this.#store.known(nameKey)
    return entry === undefined ? this.#claim(principal) : this.#take(principal, entry)
  }

  /** Whether a principal's name is known to be its own: nobody else can have it, or it came first. */
  holds({ nameKey, issuer, subject }: Principal): boolean {
    if (nameKey === undefined) return true
    const entry = this.#store.known(nameKey)
    return entry?.subject === subject && entry.issuer === issuer
  }

  /** The same names for whoever only looks: nobody gets one, and nobody hears of a refusal. */
  withoutClaiming(): NameRegistry {
    return new NameRegistry(new LookedAtNames(this.#store), {
      onRenamed: () => undefined,
      onRefused: () => undefined,
    })
  }

  /** All names, in their order. */
  list(): Promise<readonly NameEntry[]> {
    return this.#store.list()
  }

  /** Who has a name, as far as it is kept at all; undefined if nobody has, or if it is reserved. */
  async find(name: string): Promise<NameEntry | undefined> {
    const entry = await this.#store.find(foldName(name))
    return entry === undefined || isReserved(entry) ? undefined : entry
  }

  /** Keeps a name for nobody, so that only an alias can give it to somebody. */
  reserve(name: string): Promise<Outcome> {
    return this.take({ name, issuer: '', subject: '' })
  }

  /** Enters a name as it was elsewhere; one that somebody else has stays theirs. */
  async take(entry: NameEntry): Promise<Outcome> {
    const { name } = entry
    const claimed = await this.#store.claim(entry)
    if ('refused' in claimed) {
      const why =
        claimed.refused === 'full'
          ? `there are ${this.#store.max} names already`
          : `its owner has others already: ${claimed.earlier.join(', ')}`
      return { name, done: false, why }
    }
    if (personOf(claimed.entry) === personOf(entry)) return { name, done: true }
    const why = isReserved(claimed.entry)
      ? 'it is reserved'
      : `it belongs to ${describe(claimed.entry)}`
    return { name, done: false, why }
  }

  /** Takes a name from whoever has it; the next one who comes gets it. */
  async release(name: string): Promise<Outcome> {
    const was = await this.#store.release(foldName(name))
    return was === undefined
      ? { name, done: false, why: 'nobody has it' }
      : { name, done: true, was }
  }

  /** Takes all names from an issuer's people. */
  async releaseIssuer(issuer: string): Promise<readonly Outcome[]> {
    const theirs = (await this.list()).filter((entry) => entry.issuer === issuer)
    const outcomes: Outcome[] = []
    for (const entry of theirs) outcomes.push(await this.release(entry.name))
    return outcomes
  }

  close(): void {
    this.#store.close()
  }

  #take(principal: Principal, entry: NameEntry): Principal {
    const { user, issuer, subject } = principal
    if (entry.subject !== subject || entry.issuer !== issuer) this.#refuse(principal, entry)
    return entry.name === user ? principal : this.#respell(principal, entry.name)
  }

  async #claim(principal: Principal): Promise<Principal> {
    const { user: name, issuer, subject } = principal
    const claimed = await this.#store.claim({ name, issuer, subject })
    if (!('refused' in claimed)) {
      if (claimed.earlier.length > 0) this.#events.onRenamed(claimed.entry, claimed.earlier)
      return this.#take(principal, claimed.entry)
    }
    this.#events.onRefused(claimed.refused)
    if (claimed.refused === 'full') {
      const { max, size } = this.#store
      const cause = new Error(
        `there are ${max} names already; ${describe(principal)} came as ${name}, which is new`,
      )
      const facts = { found: { names: size, new: name }, wanted: { names: max } }
      throw new GatewayError('ERR_NAMES_FULL', { cause, retryAfter: 60, ...facts })
    }
    const names = claimed.earlier.join(', ')
    throw new GatewayError('ERR_NAME_REFUSED', {
      found: { name, sub: subject, issuer },
      wanted: { name: claimed.earlier },
      detail: { text: 'detail.too_many_names' },
      cause: new Error(`${describe(principal)} has ${names}, and came as ${name}`),
    })
  }

  #refuse(principal: Principal, entry: NameEntry): never {
    const reserved = isReserved(entry)
    this.#events.onRefused(reserved ? 'reserved' : 'taken')
    const { issuer, subject: sub } = principal
    const found = { name: entry.name, sub, issuer }
    if (reserved) {
      const wanted = { name: 'an alias: this one is reserved by `names reserve`' }
      throw new GatewayError('ERR_NAME_RESERVED', { found, wanted })
    }
    const cause = new Error(
      `${entry.name} belongs to ${describe(entry)}; ${describe(principal)} came out at it`,
    )
    const wanted = { sub: entry.subject, issuer: entry.issuer }
    throw new GatewayError('ERR_NAME_TAKEN', { cause, found, wanted })
  }

  #respell(principal: Principal, name: string): Principal {
    const known = this.#respelled.get(principal)
    if (known?.user === name) return known
    const identityHeaders = Object.freeze({ ...principal.identityHeaders, user: encodeName(name) })
    const respelled = Object.freeze({ ...principal, user: name, identityHeaders })
    this.#respelled.set(principal, respelled)
    return respelled
  }
}

function describe({ issuer, subject }: Pick<NameEntry, 'issuer' | 'subject'>): string {
  return `${subject} of ${issuer}`
}
