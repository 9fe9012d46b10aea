/** The files that are kept: bytes, compressed forms and headers, least recently used out. */
import { LRUCache } from 'lru-cache'
import type { Milliseconds } from '../core/clock.js'
import { fingerprint } from '../core/fingerprint.js'
import type { HeaderList } from '../edge/reply.js'
import type { Coding } from '../request/accept-encoding.js'
import type { Terms } from './terms.js'

/** One form of a file. */
export interface Form {
  readonly coding: Coding | 'identity'
  readonly bytes: Buffer
  /** Strong: it stands for these bytes and no others (RFC 9110 §8.8.1). */
  readonly etag: string
}

/** A file that is kept. It never changes; a later one takes its place. */
export interface KeptFile {
  /** As every answer has them, but for those that are made for each. Twice: as who came by cookie may see them, and others. */
  readonly headers: HeaderList
  readonly headersByCookie: HeaderList
  readonly terms: Terms
  /** When the upstream gave it, or said that it is still the same. */
  readonly checkedAt: Milliseconds
  readonly identity: Form
  /** Smaller forms, best first; none until they are made. */
  readonly compressed: readonly Form[]
  /** Whether smaller forms are made of it. */
  readonly isCompressible: boolean
}

/** Makes a form of its bytes. */
export function formOf(coding: Form['coding'], bytes: Buffer): Form {
  return { coding, bytes, etag: `"${fingerprint(bytes, 'base64url')}"` }
}

/** Bytes of all that is kept together, and of one file. */
export const maxTotal = 64 * 1024 * 1024
export const maxFile = 4 * 1024 * 1024

/** Bytes that an entry takes besides those of its forms and headers: its key, which is a target, and what holds it all. */
const overhead = 4096
/** Headers are kept twice, and once more with the terms. */
const copies = 3

function sizeOf({ headers, identity, compressed }: KeptFile): number {
  const texts = headers.reduce((sum, text) => sum + text.length, 0) * copies
  const forms = compressed.reduce((sum, { bytes }) => sum + bytes.length, identity.bytes.length)
  return forms + texts + overhead
}

/**
 * The files of one configuration, by what {@link keyOf} makes. Clients choose among the files that an upstream has, and with
 * `cache: shared` among queries: the bytes together are bounded, and the least recently used go first.
 */
export class FileStore {
  readonly #files: LRUCache<string, KeptFile>
  #epoch = 0

  /** @param total bytes in all */
  constructor(total = maxTotal) {
    this.#files = new LRUCache({ maxSize: total, sizeCalculation: sizeOf })
  }

  /** How often it was emptied: what was asked for before then is not kept any more. */
  get epoch(): number {
    return this.#epoch
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#files.calculatedSize
  }

  get(key: string): KeptFile | undefined {
    return this.#files.get(key)
  }

  set(key: string, file: KeptFile): void {
    this.#files.set(key, file)
  }

  /** Puts smaller forms beside a file, unless another one has taken its place. */
  addForms(key: string, identity: Form, compressed: readonly Form[]): void {
    const file = this.#files.peek(key)
    if (file?.identity === identity) this.#files.set(key, { ...file, compressed })
  }

  /** The file, without counting as use. */
  peek(key: string): KeptFile | undefined {
    return this.#files.peek(key)
  }

  delete(key: string): void {
    this.#files.delete(key)
  }

  /** Empties it. */
  clear(): void {
    this.#epoch++
    this.#files.clear()
  }
}
