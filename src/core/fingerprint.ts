/** What stands for a secret or a long text where the text itself must not be kept. */
import { hash } from 'node:crypto'
import type { BinaryLike } from 'node:crypto'

/** The SHA-256 of a text: a key of memory or of Redis that nobody can turn back into a token or a cookie. */
export function fingerprint(
  value: BinaryLike,
  encoding: 'base64' | 'base64url' | 'hex' = 'base64',
): string {
  return hash('sha256', value, encoding)
}
