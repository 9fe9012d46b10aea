/**
 * HMAC-SHA-256 of many texts with one key, as two one-shot hashes over kept buffers: Node's own `createHmac` makes an object
 * for each text, which costs more than both hashes.
 * @see RFC 2104 §2
 */
import { hash } from 'node:crypto'

/** The HMAC of a text (UTF-8) in base64url without padding. */
export type Hmac = (text: string) => string

/** Bytes of a block and of a digest of SHA-256 (FIPS 180-4). */
const block = 64
const digest = 32
/** Bytes that a UTF-16 code unit takes at most in UTF-8. */
const maxCharacter = 3
/** Characters that the kept buffer has place for; what is longer gets a buffer of its own. */
const maxKept = 4096

/** The key in one block, each byte combined with `mask`. */
function padOf(key: Buffer, mask: number): Buffer {
  const pad = Buffer.alloc(block, mask)
  for (const [i, byte] of key.entries()) pad[i] = byte ^ mask
  return pad
}

/** Builds it; the key's two pads are made once. */
export function createHmacSha256(secret: string): Hmac {
  const bytes = Buffer.from(secret, 'utf8')
  const key = bytes.length > block ? hash('sha256', bytes, 'buffer') : bytes
  const innerPad = padOf(key, 0x36)
  const kept = Buffer.alloc(block + maxKept * maxCharacter)
  innerPad.copy(kept)
  const outer = Buffer.alloc(block + digest)
  padOf(key, 0x5c).copy(outer)
  return (text) => {
    const inner =
      text.length > maxKept
        ? Buffer.concat([innerPad, Buffer.from(text, 'utf8')])
        : kept.subarray(0, block + kept.write(text, block, 'utf8'))
    // As text and not as a buffer, which would be one more object for each.
    outer.write(hash('sha256', inner, 'binary'), block, 'latin1')
    return hash('sha256', outer, 'base64url')
  }
}
