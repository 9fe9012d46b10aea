/** Which codings of an answer a client takes (RFC 9110 §12.5.3). */

/** A coding that answers are compressed with here. */
export type Coding = 'br' | 'gzip'

/** What a client takes. */
export interface AcceptedCodings {
  readonly br: boolean
  readonly gzip: boolean
}

const neither: AcceptedCodings = { br: false, gzip: false }

/** `name`, or `name;q=0.5`; a weight that is no weight counts as none. */
const item = /^([^\s;,]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?$/i

/** Reads `Accept-Encoding`, its copies joined by commas. What can't be read is not accepted. */
export function acceptedCodings(header: string): AcceptedCodings {
  if (header === '') return neither
  const weights = new Map<string, boolean>()
  for (const part of header.split(',')) {
    const [, name, weight = '1'] = item.exec(part.trim()) ?? []
    if (name !== undefined) weights.set(name.toLowerCase(), Number(weight) > 0)
  }
  const others = weights.get('*') ?? false
  return {
    br: weights.get('br') ?? others,
    gzip: weights.get('gzip') ?? weights.get('x-gzip') ?? others,
  }
}
