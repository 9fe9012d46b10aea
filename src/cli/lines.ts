/** The lines of files, gzipped or not, and of standard input: one after the other, however long the file. */
import { createReadStream, statSync } from 'node:fs'
import { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { createGunzip } from 'node:zlib'

/** Characters of a line; what is longer is no line of a log, and is passed over. */
const maxLine = 1024 * 1024

/** Hears how many bytes of a source were read. */
export type OnBytes = (count: number) => void

/** Bytes of all files together; undefined if one has no size, as standard input. */
export function sizeOf(files: readonly string[]): number | undefined {
  if (files.includes('-')) return undefined
  return files.reduce((sum, file) => sum + statSync(file).size, 0)
}

async function* unpacked(source: Readable, onBytes: OnBytes): AsyncGenerator<Buffer> {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>
  const first = await chunks.next()
  if (first.done === true) return
  const all = async function* (): AsyncGenerator<Buffer> {
    for (let next: IteratorResult<Buffer> = first; next.done !== true; next = await chunks.next()) {
      onBytes(next.value.length)
      yield next.value
    }
  }
  // RFC 1952 §2.3.1: what a gzip file begins with.
  const isPacked = first.value[0] === 0x1f && first.value[1] === 0x8b
  if (!isPacked) yield* all()
  else yield* Readable.from(all()).pipe(createGunzip()) as AsyncIterable<Buffer>
}

/**
 * Hands over the lines of a file, many at a time; `-` is standard input.
 * @throws Error — it can't be read, or is not what gzip wrote
 */
export async function eachLine(
  file: string,
  take: (line: string) => void,
  onBytes: OnBytes = () => undefined,
): Promise<void> {
  const source =
    file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 256 * 1024 })
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const chunk of unpacked(source, onBytes)) {
    const lines = (rest + decoder.write(chunk)).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > maxLine) rest = ''
    for (const line of lines) take(line)
  }
  rest += decoder.end()
  if (rest !== '') take(rest)
}
