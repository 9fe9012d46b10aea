/** Which of our languages a browser wants (RFC 9110 §12.5.4). */

import type { IncomingMessage } from 'node:http'
import { rawValues } from './headers.js'

/** All `Accept-Language` fields of a request, joined; those of one that Node's parser refused, too. */
export function acceptLanguageOf({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): string {
  return rawValues(rawHeaders, 'accept-language').join(',')
}

/** `de-AT`, or `de-AT;q=0.5`; a part that is neither is left out (RFC 4647 §2.1). */
const range =
  /^(\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?$/i

/** Ranges that are read; nobody writes more by hand. */
const maxRanges = 100

interface Wish {
  /** The first part of the range: `de`. */
  readonly language: string
  /** Whether it names no region, so that it is about all of the language. */
  readonly whole: boolean
  readonly weight: number
}

function readWishes(header: string): readonly Wish[] {
  return header.split(',', maxRanges).flatMap((part) => {
    const [, tag, weight = '1'] = range.exec(part.trim()) ?? []
    if (tag === undefined) return []
    const [language = ''] = tag.toLowerCase().split('-', 1)
    return [{ language, whole: language.length === tag.length, weight: Number(weight) }]
  })
}

/**
 * Chooses a language. A wish for `de-AT` is met by `de` (RFC 4647 §3.4), `de;q=0` rules German out in all regions, and `*`
 * is any language that is not named. Among equals the first wish counts.
 * @param available tags without a region, in lower case; the first one is for whoever wants none of them
 */
export function chooseLanguage(header: string, available: readonly [string, ...string[]]): string {
  const wishes = readWishes(header)
  const refused = new Set(
    wishes.filter(({ whole, weight }) => whole && weight === 0).map(({ language }) => language),
  )
  const named = new Set(wishes.map(({ language }) => language))
  let best: string | undefined
  let bestWeight = 0
  for (const { language, weight } of wishes) {
    if (weight <= bestWeight || refused.has(language)) continue
    const found = available.find((one) => (language === '*' ? !named.has(one) : one === language))
    if (found === undefined) continue
    best = found
    bestWeight = weight
  }
  return best ?? available[0]
}
