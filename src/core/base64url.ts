/** Base64url as it may come from outside: one spelling for each value (RFC 4648 §3.5). */

/**
 * Whether decoding drops no bit of any part of a compact JWS or JWE. With bits that are dropped, one token has many
 * spellings: each would pass as a token of its own, in every memory and every count.
 */
export function isCanonicalCompact(compact: string): boolean {
  return compact
    .split('.')
    .every((part) => Buffer.from(part, 'base64url').toString('base64url') === part)
}
