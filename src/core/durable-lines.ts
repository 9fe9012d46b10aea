/** A file of lines, each on disk before anybody relies on it. For one process. */
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { GatewayError } from './errors.js'
import { replaceFile } from './replace-file.js'

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

/** The file. */
export class DurableLines {
  readonly #path: string
  readonly #key: string
  #file = -1
  /** Bytes that are known to be whole lines. */
  #length = 0

  /** @param key the key of gateway.yaml that names the file, for what is told of faults */
  constructor(path: string, key: string) {
    this.#path = path
    this.#key = key
  }

  /**
   * Opens it and reads what is kept; without a file it begins one.
   * @param read takes the lines, without their ends
   * @throws Error — it can't be read or written, or `read` throws: rather no start than half of what was kept
   */
  start<T>(read: (lines: readonly string[]) => T): T {
    try {
      return read(this.#open())
    } catch (cause) {
      this.close()
      const { code, message } = cause as NodeJS.ErrnoException
      const why = code === 'ENOENT' ? `there is no folder ${dirname(this.#path)}` : message
      throw new Error(`${this.#key} ${this.#path} can't be used: ${why}`, { cause })
    }
  }

  /**
   * Writes lines and waits until they are on disk.
   * @param text one or more lines, each with its end
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — they are not, and no part of them either
   */
  append(text: string): void {
    const line = Buffer.from(text)
    try {
      if (writeSync(this.#file, line) < line.length) throw new Error('the disk took a part of it')
      fsyncSync(this.#file)
      this.#length += line.length
    } catch (cause) {
      this.#cut()
      throw new GatewayError('ERR_STORE_UNAVAILABLE', { cause, retryAfter: 10 })
    }
  }

  /** Puts other lines in the place of all there are. @throws Error — it can't be done; then the file is as before */
  rewrite(text: string): void {
    replaceFile(this.#path, text)
    syncFolder(this.#path)
    closeSync(this.#file)
    this.#file = openSync(this.#path, 'a', 0o600)
    this.#length = Buffer.byteLength(text)
  }

  /** Closes it. */
  close(): void {
    if (this.#file >= 0) closeSync(this.#file)
    this.#file = -1
  }

  /** Takes back what was written of a line that is not kept. */
  #cut(): void {
    try {
      ftruncateSync(this.#file, this.#length)
    } catch {
      // The next start cuts it.
    }
  }

  #open(): readonly string[] {
    this.#file = openSync(this.#path, 'a', 0o600)
    const bytes = readFileSync(this.#path)
    // A last line without its end was cut by a crash before anybody was told that it is kept.
    const whole = bytes.subarray(0, bytes.lastIndexOf('\n') + 1)
    ftruncateSync(this.#file, whole.length)
    this.#length = whole.length
    fsyncSync(this.#file)
    syncFolder(this.#path)
    return whole.toString('utf8').split('\n').slice(0, -1)
  }
}
