/** Makes the smaller forms of files, one after the other and off the way of every request. */
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { formOf } from './store.js'
import type { FileStore, Form, KeptFile } from './store.js'

/** Files that wait at most: what comes beyond stays as it is until it is kept anew. */
const maxWaiting = 1000

/** A form that saves less than a tenth is not worth its place. */
const worthwhile = 0.9

/**
 * Brotli's quality by size. The highest takes a third of a second for 90 KB, the ninth 50 ms for 7 % more bytes: so files
 * that every page has are ready a second after the first visitor came.
 */
function qualityFor(bytes: number): number {
  if (bytes <= 32 * 1024) return 11
  return bytes <= 512 * 1024 ? 9 : 6
}

const toBrotli = promisify(brotliCompress)
const toGzip = promisify(gzip)

async function compress({ identity: { bytes } }: KeptFile): Promise<readonly Form[]> {
  const br = await toBrotli(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: qualityFor(bytes.length),
      [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  })
  const gz = await toGzip(bytes, { level: 9 })
  return [formOf('br', br), formOf('gzip', gz)].filter(
    (form) => form.bytes.length < bytes.length * worthwhile,
  )
}

/** Compresses the files of a store. */
export class Compressor {
  readonly #store: FileStore
  readonly #waiting = new Set<string>()
  #isBusy = false

  constructor(store: FileStore) {
    this.#store = store
  }

  /** Makes the forms of the file with this key, if it is still there when its turn comes. */
  add(key: string): void {
    if (this.#waiting.size < maxWaiting) this.#waiting.add(key)
    if (!this.#isBusy) void this.#work()
  }

  async #work(): Promise<void> {
    this.#isBusy = true
    for (const key of this.#waiting) {
      this.#waiting.delete(key)
      const file = this.#store.peek(key)
      if (file === undefined) continue
      // What can't be compressed is sent as it is.
      const forms = await compress(file).catch(() => [])
      this.#store.addForms(key, file.identity, forms)
    }
    this.#isBusy = false
  }
}
