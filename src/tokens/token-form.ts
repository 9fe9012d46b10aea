/**
 * The text of a personal token: `trac_pat_`, the id, 256 random bits, and six characters that check the others.
 *
 *     trac_pat_ IIIIIIIIIIIIIIIIIIIIIIII SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS CCCCCC
 *
 * The beginning lets scanners of repositories find it. The check lets them tell it from noise, and lets us refuse a text that
 * is cut or misspelt without a look into a store. All of it is base64url, so that it fits a Bearer token and a password.
 */
import { randomBytes } from 'node:crypto'
import { fingerprint } from '../core/fingerprint.js'

/** What each personal token begins with. No JWT does: its first part is an object of JSON in base64url. */
export const tokenPrefix = 'trac_pat_'

/** Somebody at a provider. */
export interface Owner {
  readonly issuer: string
  readonly subject: string
}

const ownerLength = 16
const idLength = 24
const secretLength = 43
const checkLength = 6
const length = tokenPrefix.length + idLength + secretLength + checkLength

/** Names an owner: 96 bits of a hash, so that it says nothing of them, and two never meet. */
export function ownerKey({ issuer, subject }: Owner): string {
  return fingerprint(JSON.stringify([issuer, subject]), 'base64url').slice(0, ownerLength)
}

/** Names the owner of a token by its id. */
export const ownerKeyOf = (id: string): string => id.slice(0, ownerLength)

const checkOf = (text: string): string => fingerprint(text, 'base64url').slice(0, checkLength)

/** A token by what finds it and what proves it. */
export interface TokenProof {
  readonly id: string
  /** The SHA-256 of the random bits, in base64url: all that is kept of them. */
  readonly hash: string
}

/** Makes a new token; the text is told once and kept nowhere. */
export function makeToken(owner: Owner): TokenProof & { readonly text: string } {
  const id = ownerKey(owner) + randomBytes(6).toString('base64url')
  const secret = randomBytes(32).toString('base64url')
  const unchecked = tokenPrefix + id + secret
  return { id, hash: fingerprint(secret, 'base64url'), text: unchecked + checkOf(unchecked) }
}

/** Reads a text that begins as a token does; undefined if it is none. */
export function readToken(text: string): TokenProof | undefined {
  if (text.length !== length || !text.startsWith(tokenPrefix)) return undefined
  const unchecked = text.slice(0, -checkLength)
  if (checkOf(unchecked) !== text.slice(-checkLength)) return undefined
  const secretAt = tokenPrefix.length + idLength
  return {
    id: text.slice(tokenPrefix.length, secretAt),
    hash: fingerprint(unchecked.slice(secretAt), 'base64url'),
  }
}
