/** Random text for names that each request needs; a call of the operating system for each would cost too much. */
import { randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(4096)
let offset = pool.length

/**
 * Text of so many random bytes, never handed out twice. For what is public, such as request ids and nonces:
 * a secret is drawn by itself, since the pool keeps what it handed out until it is filled anew.
 */
export function randomText(bytes: number, encoding: 'hex' | 'base64url'): string {
  if (offset + bytes > pool.length) {
    randomFillSync(pool)
    offset = 0
  }
  offset += bytes
  return pool.toString(encoding, offset - bytes, offset)
}
