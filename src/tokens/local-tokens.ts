/** The personal tokens of one process, in a file of lines: each is on disk before its owner is shown it. */
import { isDeepStrictEqual } from 'node:util'
import type { Milliseconds, Now, Timers } from '../core/clock.js'
import { DurableLines } from '../core/durable-lines.js'
import { ownerKey, ownerKeyOf } from './token-form.js'
import type { Owner } from './token-form.js'
import {
  maxTokens,
  proofStep,
  readHour,
  readOwner,
  readWritten,
  writeToken,
} from './token-store.js'
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

/** Lines that no longer count before the file is written anew: so many, and as many again as there are that count. */
const maxDeadLines = 1000

/** One change, as a line; later releases read it, too. Owners come with their proofs, uses with their hours. */
type Line =
  | readonly ['token', ReturnType<typeof writeToken>]
  | readonly ['owner', TokenOwner]
  | readonly ['gone', string]
  | readonly ['used', string, number]

const format = (lines: readonly Line[]): string =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join('')

/** The store; it writes down by itself what was used, until it is closed. */
export class LocalTokens implements TokenStore {
  readonly #file: DurableLines
  readonly #now: Now
  readonly #max: number
  /** By id. Bounded by `max`; only their end, their owner and an operator take one out. */
  readonly #tokens = new Map<string, KeptToken>()
  /** Owners with the ids of their tokens, by key; there is nobody without tokens. */
  readonly #owners = new Map<string, { readonly owner: TokenOwner; readonly ids: Set<string> }>()
  readonly #used = new Map<string, number>()
  readonly #notes: UseNotes
  #dead = 0

  /** @throws Error — the file can't be read or written, or has a line that is not ours */
  constructor(path: string, now: Now, timers: Timers, max = maxTokens) {
    this.#file = new DurableLines(path, 'tokens.file')
    this.#now = now
    this.#notes = new UseNotes(timers, (uses) => this.#writeUses(uses))
    this.#max = max
    this.#file.start((lines) => {
      for (const [index, line] of lines.entries()) this.#learn(line, index + 1)
      // A crash can have come between an owner and their first token.
      for (const [key, { ids }] of this.#owners) if (ids.size === 0) this.#owners.delete(key)
      this.#dropEnded()
      this.#dead = lines.length - this.#size
      this.#compact()
    })
  }

  known(id: string): KeptToken | undefined {
    return this.#tokens.get(id)
  }

  async find(id: string): Promise<KeptToken | undefined> {
    return this.#tokens.get(id)
  }

  async list(owner: Owner): Promise<readonly ListedToken[]> {
    return this.#of(ownerKey(owner)).map(({ token }) => ({
      ...token,
      usedIn: this.#used.get(token.id),
    }))
  }

  // Nothing here waits between the look and the write, so that nobody can come between.
  async add(token: PersonalToken, owner: TokenOwner, maxEach: number): Promise<Added> {
    const now = this.#now()
    const key = ownerKey(owner)
    const theirs = this.#of(key).filter((one) => one.token.expiresAt > now)
    if (theirs.some((one) => one.token.name === token.name)) return 'named'
    if (theirs.length >= maxEach) return 'many'
    if (this.#tokens.size >= this.#max) this.#dropEnded()
    if (this.#tokens.size >= this.#max) return 'full'
    this.#append([
      ['owner', owner],
      ['token', writeToken(token)],
    ])
    this.#setOwner(key, owner)
    this.#setToken(token)
    return 'kept'
  }

  async remove(owner: Owner, id: string): Promise<boolean> {
    if (ownerKeyOf(id) !== ownerKey(owner) || !this.#tokens.has(id)) return false
    this.#end([id])
    return true
  }

  async removeAll(owner: Owner): Promise<readonly string[]> {
    const ids = this.#of(ownerKey(owner)).map(({ token }) => token.id)
    if (ids.length > 0) this.#end(ids)
    return ids
  }

  async prove(owner: Owner, at: Milliseconds, proof: OwnerProof | undefined): Promise<void> {
    const key = ownerKey(owner)
    const known = this.#owners.get(key)?.owner
    if (known === undefined || at < known.provenAt) return
    const { user, profile } = proof ?? known
    const isSame = user === known.user && isDeepStrictEqual(profile, known.profile)
    if (isSame && at - known.provenAt < proofStep) return
    const { issuer, subject } = known
    const proven = { issuer, subject, user, profile, provenAt: at }
    // In memory first: a disk that is full must not keep a right that somebody has lost.
    this.#setOwner(key, proven)
    this.#append([['owner', proven]])
    this.#dead++
  }

  async owners(): Promise<readonly TokenOwner[]> {
    return [...this.#owners.values()].map(({ owner }) => owner)
  }

  noteUse(id: string, hour: number): void {
    if (!this.#tokens.has(id) || this.#used.get(id) === hour) return
    this.#used.set(id, hour)
    this.#notes.note(id, hour)
  }

  flush(): Promise<void> {
    return this.#notes.flush()
  }

  close(): void {
    this.#notes.close()
    void this.flush().catch(() => undefined)
    this.#file.close()
  }

  get #size(): number {
    return this.#tokens.size + this.#owners.size + this.#used.size
  }

  #of(key: string): readonly KeptToken[] {
    return [...(this.#owners.get(key)?.ids ?? [])].map((id) => this.#tokens.get(id)!)
  }

  #setOwner(key: string, owner: TokenOwner): void {
    const theirs = this.#of(key)
    this.#owners.set(key, { owner, ids: new Set(theirs.map(({ token }) => token.id)) })
    for (const { token } of theirs) this.#tokens.set(token.id, { token, owner })
  }

  /** @throws Error — nobody is known whose it could be */
  #setToken(token: PersonalToken): void {
    const known = this.#owners.get(ownerKeyOf(token.id))
    if (known === undefined) throw new Error('a token without its owner')
    known.ids.add(token.id)
    this.#tokens.set(token.id, { token, owner: known.owner })
  }

  #writeUses(uses: readonly Use[]): void {
    const lines = uses.filter(([id]) => this.#tokens.has(id)).map((use): Line => ['used', ...use])
    if (lines.length === 0) return
    this.#append(lines)
    this.#dead += lines.length
    this.#compact()
  }

  #end(ids: readonly string[]): void {
    for (const id of ids) this.#forget(id)
    this.#append(ids.map((id) => ['gone', id]))
    this.#dead += 2 * ids.length
    this.#compact()
  }

  #forget(id: string): void {
    this.#tokens.delete(id)
    this.#used.delete(id)
    const key = ownerKeyOf(id)
    const known = this.#owners.get(key)
    known?.ids.delete(id)
    if (known?.ids.size === 0) this.#owners.delete(key)
  }

  #dropEnded(): void {
    const now = this.#now()
    for (const { token } of this.#tokens.values())
      if (token.expiresAt <= now) this.#forget(token.id)
  }

  #append(lines: readonly Line[]): void {
    this.#file.append(format(lines))
  }

  #compact(): void {
    if (this.#dead <= maxDeadLines + this.#size) return
    this.#dropEnded()
    const owners = [...this.#owners.values()].map(({ owner }): Line => ['owner', owner])
    const tokens = [...this.#tokens.values()].map(({ token }): Line => ['token', writeToken(token)])
    const used = [...this.#used].map(([id, hour]): Line => ['used', id, hour])
    this.#file.rewrite(format([...owners, ...tokens, ...used]))
    this.#dead = 0
  }

  #learn(text: string, number: number): void {
    try {
      // Only what was written above comes from there.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      this.#take(JSON.parse(text) as Line)
    } catch (cause) {
      throw new Error(`line ${number} is no token`, { cause })
    }
  }

  #take(line: Line): void {
    switch (line[0]) {
      case 'owner':
        this.#setOwner(ownerKey(line[1]), readOwner(line[1]))
        break
      case 'token':
        this.#setToken(readWritten(line[1]))
        break
      case 'gone':
        this.#forget(line[1])
        break
      case 'used':
        if (this.#tokens.has(line[1])) this.#used.set(line[1], readHour(line[2]))
        break
      default:
        throw new Error('a line of another kind')
    }
  }
}
