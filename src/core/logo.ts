/** A picture for our own pages, told apart by its bytes. */

/** A picture as a page holds it. */
export interface Logo {
  /** `data:image/png;base64,…` (RFC 2397). */
  readonly address: string
}

/** Bytes that a logo may have: each of our own pages brings it along. */
export const maxLogoSize = 32 * 1024

const pngStart = Buffer.from('89504e470d0a1a0a', 'hex')
const jpegStart = Buffer.from('ffd8ff', 'hex')

/**
 * What may stand before the root of an SVG: a declaration, comments, a document type without declarations of its own. A comment
 * ends at the first `-->` and nowhere else, so that many of them are read in one way alone.
 */
const svgStart =
  /^\uFEFF?\s*(?:<\?xml\s[^>]*\?>\s*)?(?:(?:<!--(?:(?!-->)[\s\S])*-->|<!DOCTYPE\s+svg\b[^>[]*>)\s*)*<svg[\s/>]/

/** What could run, or call for something, in an SVG that somebody opens by itself. */
const active =
  /<\s*(?:[\w-]+:)?(?:script|foreignObject|iframe|handler)\b|[\s/"']on[a-z]+\s*=|javascript:|<!ENTITY/i

function svgOf(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8')
  return svgStart.test(text) ? text : undefined
}

function typeOf(bytes: Buffer): string | undefined {
  if (bytes.subarray(0, pngStart.length).equals(pngStart)) return 'image/png'
  if (bytes.subarray(0, jpegStart.length).equals(jpegStart)) return 'image/jpeg'
  return svgOf(bytes) === undefined ? undefined : 'image/svg+xml'
}

/**
 * Reads a logo. Pages show it as a picture of their own text: a browser runs no script in a picture, and a `data:` address
 * has no origin and no cookies, whatever the picture holds.
 * @returns the logo, or what was found and what was wanted instead
 */
export function readLogo(
  bytes: Buffer,
): { readonly value: Logo } | { readonly found: string; readonly wanted: string } {
  if (bytes.length > maxLogoSize) {
    return { found: `more than ${maxLogoSize} bytes`, wanted: `at most ${maxLogoSize} bytes` }
  }
  const type = typeOf(bytes)
  if (type === undefined) {
    return { found: 'a file of another kind', wanted: 'a PNG, an SVG or a JPEG, by its bytes' }
  }
  if (type === 'image/svg+xml' && active.test(bytes.toString('utf8'))) {
    return { found: 'an SVG with script in it', wanted: 'an SVG that only draws' }
  }
  return { value: { address: `data:${type};base64,${bytes.toString('base64')}` } }
}
