/** Where the owners of names are kept: what every store of them can do. */
import type { NameEntry } from '../core/identity.js'
import { isTexts } from '../core/json-values.js'
import { foldName } from '../trac/user-names.js'

/** Names that are kept at most; nothing is dropped for a new one. About 300 bytes each. */
export const maxNames = 200_000
/** Names that one person can have at most, by changes at the provider. */
export const maxNamesEach = 3

/** What became of a claim: who has the name now, and which names the same person had before it; or why nobody got it. */
export type Claimed =
  | { readonly entry: NameEntry; readonly earlier: readonly string[] }
  | { readonly refused: 'full' }
  | { readonly refused: 'many'; readonly earlier: readonly string[] }

/** Keeps who has which name. Whatever goes wrong rejects with ERR_STORE_UNAVAILABLE. */
export interface NameStore {
  /** How many there can be; by default {@link maxNames}. */
  readonly max: number
  /** How many are known to this process. */
  readonly size: number
  /** What this process knows of a folded name. */
  known(key: string): NameEntry | undefined
  /** Who has a folded name, whether this process has seen it or not. */
  find(key: string): Promise<NameEntry | undefined>
  /** Gives a name to whoever comes first, in one step for all processes; it is kept before this resolves. */
  claim(entry: NameEntry): Promise<Claimed>
  /** Takes a folded name from whoever has it, who is answered. */
  release(key: string): Promise<NameEntry | undefined>
  /** All of them, by name. */
  list(): Promise<readonly NameEntry[]>
  close(): void
}

/** Whether a name is kept for nobody, until an alias gives it to somebody. */
export const isReserved = ({ issuer, subject }: NameEntry): boolean =>
  issuer === '' && subject === ''

/** Whom an entry is for; length first, so that no issuer and subject can read as another pair. */
export function personOf(entry: NameEntry): string {
  const { issuer, subject } = entry
  return isReserved(entry) ? '' : `${issuer.length} ${issuer} ${subject}`
}

/**
 * The entry of its written parts: name, issuer, `sub`.
 * @throws Error — they are damaged: a name must not pass to somebody else
 */
export function toEntry(parts: unknown): NameEntry {
  if (!isTexts(parts)) throw new Error('no list of texts')
  const [name = '', issuer = '', subject = ''] = parts
  if (name === '') throw new Error('no name')
  if ((issuer === '') !== (subject === '')) throw new Error('half of a person')
  return { name, issuer, subject }
}

/** Under what an entry is kept. */
export const keyOf = ({ name }: NameEntry): string => foldName(name)

/** In the order of their names, whatever the language. */
export function byName(entries: Iterable<NameEntry>): readonly NameEntry[] {
  return [...entries].toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}
