/** Random text for names that each request needs; a call of the operating system for each would cost too much. */
import { randomBytes, randomFillSync } from 'node:crypto'

const poolSize = 4096
const pool = Buffer.alloc(poolSize)
let offset = poolSize
/** The same for hexadecimal text, which is cut out of one that is made at once. */
let hexPool = ''
let hexOffset = 0

/**
 * So many random bytes in base64url, never handed out twice. For what is public, such as request ids and nonces:
 * a secret is drawn by itself, since the pool keeps what it handed out until it is filled anew.
 */
export function randomText(bytes: number): string {
  if (offset + bytes > poolSize) {
    randomFillSync(pool)
    offset = 0
  }
  offset += bytes
  return pool.toString('base64url', offset - bytes, offset)
}

/** Two hexadecimal digits for each byte, as {@link randomText}. */
export function randomHex(bytes: number): string {
  if (hexOffset + 2 * bytes > hexPool.length) {
    hexPool = randomBytes(poolSize).toString('hex')
    hexOffset = 0
  }
  const from = hexOffset
  hexOffset += 2 * bytes
  return hexPool.slice(from, hexOffset)
}
