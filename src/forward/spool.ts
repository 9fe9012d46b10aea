/** Chunked bodies, since tracd understands only a length, and those whose signature is judged are collected first: in memory, then in a file without a name. */
import { open, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { GatewayError } from '../core/errors.js'

/** A collected body. */
export interface Spooled {
  readonly length: number
  readonly body: Buffer | Readable
  /** Frees its bytes; to be called once, whatever happened. */
  release(): void
}

/** The bounds of all spooled bodies together, in bytes. */
export interface SpoolOptions {
  readonly directory: string
  readonly total: number
}

/** Bytes kept in memory before a file is opened. */
const memory = 1024 * 1024
const spoolKey = 'server.limits.spool'
/** The part of the whole that one principal or address may take. */
const share = 4

/** A file that nobody else can open and that is gone when it is closed, even after a crash. */
async function openNameless(directory: string): Promise<FileHandle> {
  const path = join(directory, `trac-gateway-${randomBytes(12).toString('hex')}`)
  const file = await open(path, 'wx+', 0o600)
  await unlink(path)
  return file
}

/** Creates the spool. */
export function createSpool(options: SpoolOptions) {
  const used = new Map<string, number>()
  let all = 0

  const reserve = (owner: string, bytes: number): void => {
    const own = (used.get(owner) ?? 0) + bytes
    if (all + bytes > options.total || own > options.total / share) {
      const wanted = { bytes: options.total, of_one: options.total / share, key: spoolKey }
      const facts = { found: { bytes: all + bytes, of_one: own }, wanted }
      throw new GatewayError('ERR_SPOOL_FULL', { retryAfter: 10, ...facts })
    }
    used.set(owner, own)
    all += bytes
  }
  const giveBack = (owner: string, bytes: number): void => {
    const own = (used.get(owner) ?? 0) - bytes
    if (own > 0) used.set(owner, own)
    else used.delete(owner)
    all -= bytes
  }
  /**
   * Collects a body for its owner (a person or machine, or a client's address by its network).
   * @param limit bytes that the route allows
   * @param onChunk sees each chunk of what is kept
   * @throws {@link GatewayError} ERR_BODY_TOO_LARGE, ERR_SPOOL_FULL, ERR_CLIENT_GONE
   */
  return async (
    source: Readable,
    owner: string,
    limit: number,
    onChunk?: (chunk: Buffer) => void,
  ): Promise<Spooled> => {
    const chunks: Buffer[] = []
    let length = 0
    let file: FileHandle | undefined
    const release = (): void => {
      giveBack(owner, length)
      length = 0
      void file?.close().catch(() => undefined)
    }
    try {
      // Not destroyed when we stop early: the refusal still has to go out on its connection.
      const chunksOfSource = source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
      for await (const chunk of chunksOfSource) {
        if (length + chunk.length > limit) throw new GatewayError('ERR_BODY_TOO_LARGE')
        reserve(owner, chunk.length)
        length += chunk.length
        onChunk?.(chunk)
        if (file === undefined && length <= memory) {
          chunks.push(chunk)
          continue
        }
        if (file === undefined) {
          file = await openNameless(options.directory)
          await file.writeFile(Buffer.concat(chunks.splice(0)))
        }
        await file.writeFile(chunk)
      }
      if (file === undefined) return { length, body: Buffer.concat(chunks), release }
      return { length, body: file.createReadStream({ start: 0, autoClose: false }), release }
    } catch (cause) {
      release()
      if (cause instanceof GatewayError) throw cause
      if (source.destroyed) throw new GatewayError('ERR_CLIENT_GONE', { cause })
      const { directory } = options
      const facts = { found: { directory }, wanted: { directory: 'one that can be written to' } }
      throw new GatewayError('ERR_SPOOL_FULL', { cause, ...facts })
    }
  }
}
