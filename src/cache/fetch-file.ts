/** One request of the gateway's own for a file, and its answer in memory. Nothing of any client is in it. */
import { GatewayError } from '../core/errors.js'
import type { Milliseconds, Timers } from '../core/clock.js'
import type { AnswerReader, Connection } from '../forward/connection.js'
import type { Upstream } from '../forward/upstream.js'

/** What is asked for. */
export interface FileRequest {
  readonly path: string
  readonly headers: string[]
  /** Bytes that the answer may have. */
  readonly maxBytes: number
  /** How long it may take in all. */
  readonly limit: Milliseconds
}

/** A whole answer; the body is that of a 200, else empty. */
export interface FetchedFile {
  readonly status: number
  /** Names and values in turns. */
  readonly raw: readonly string[]
  readonly body: Buffer
}

/** Nothing to keep: given up, since it took too long or had too much; or something went wrong. */
export type NoFile = 'given up' | 'fault'

/** Bytes that are read only to keep the connection, of an answer that nobody wants. */
const drainable = 64 * 1024

/** Collects one answer. */
class FileReader implements AnswerReader {
  readonly #connection: Connection
  readonly #settle: (answer: FetchedFile | NoFile) => void
  readonly #chunks: Buffer[] = []
  #limit: number
  #status = 0
  #raw: readonly string[] = []
  #bytes = 0

  /** @param settle the first call counts; without an answer, the connection is of no use any more */
  constructor(
    connection: Connection,
    maxBytes: number,
    settle: (answer: FetchedFile | NoFile) => void,
  ) {
    this.#connection = connection
    this.#limit = maxBytes
    this.#settle = settle
  }

  readonly cancel = (): void => {
    this.#settle('given up')
    this.#connection.abort(new GatewayError('ERR_UPSTREAM_TIMEOUT'))
  }

  onHead(status: number, raw: readonly string[]): void {
    this.#status = status
    this.#raw = raw
    if (status !== 200) this.#limit = drainable
  }

  onData(bytes: Buffer): boolean {
    this.#bytes += bytes.length
    if (this.#bytes > this.#limit) this.cancel()
    // A copy: what comes may be a part of what is read into.
    else if (this.#status === 200) this.#chunks.push(Buffer.from(bytes))
    return true
  }

  onLull(): void {
    // Nobody waits for a part of it.
  }

  onEnd(): void {
    this.#settle({ status: this.#status, raw: this.#raw, body: Buffer.concat(this.#chunks) })
  }

  onFault(): void {
    this.#settle('fault')
  }
}

/** Gets a file. */
export function fetchFile(
  { connections }: Upstream,
  { path, headers, maxBytes, limit }: FileRequest,
  timers: Timers,
): Promise<FetchedFile | NoFile> {
  return new Promise((resolve) => {
    const connection = connections.take(true)
    let isOver = false
    const reader = new FileReader(connection, maxBytes, (answer) => {
      if (isOver) return
      isOver = true
      timers.clearTimeout(timer)
      if (typeof answer === 'string') connections.discard(connection)
      else connections.release(connection)
      resolve(answer)
    })
    const timer = timers.setTimeout(reader.cancel, limit)
    connection.send(
      { method: 'GET', path, headers, body: null, firstByte: limit, idle: limit },
      reader,
    )
  })
}
