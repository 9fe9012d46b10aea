/** Names for requests: taken over if well-formed, else made (W3C Trace Context §3.2). */
import { randomFillSync } from 'node:crypto'

const requestId = /^[A-Za-z0-9._-]{1,128}$/
const traceparent = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** Random bytes as hex, drawn from the operating system many at a time. */
function createHex(): (bytes: number) => string {
  const pool = Buffer.alloc(4096)
  let offset = pool.length
  return (bytes) => {
    if (offset + bytes > pool.length) {
      randomFillSync(pool)
      offset = 0
    }
    offset += bytes
    return pool.toString('hex', offset - bytes, offset)
  }
}

/** Builds the two namers. */
export function createRequestNames() {
  const hex = createHex()
  return {
    id: (received: string): string => (requestId.test(received) ? received : hex(16)),
    trace: (received: string): string =>
      traceparent.test(received) ? received : `00-${hex(16)}-${hex(8)}-00`,
  }
}
