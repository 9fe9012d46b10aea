/** Whether an answer may be kept, and for how long (RFC 9111 §3, §4.2). Pure. */
import type { Milliseconds } from '../core/clock.js'
import { directivesOf } from '../forward/response-headers.js'

/** The fields of an answer that say so, by lower-case name. */
export type Fields = ReadonlyMap<string, readonly string[]>

/** On what terms a file is kept. */
export interface Terms {
  readonly fields: Fields
  /** How old it was when it came (RFC 9111 §5.1). */
  readonly age: Milliseconds
  /** How old it may be and still count as fresh. */
  readonly freshFor: Milliseconds
  /** Whether it may be sent once more while it is asked for again. */
  readonly mayBeStale: boolean
  /** Whether its bytes may be compressed here (RFC 9111 §5.2.2.6). */
  readonly mayTransform: boolean
  /** What the upstream itself knows it by; empty text for nothing. */
  readonly etag: string
  readonly lastModified: string
}

/** No answer is older than this, whatever it says. */
export const maxAge: Milliseconds = 600_000

/** Fields that tell nothing once another answer has come. */
const ofOneAnswer = ['age', 'date', 'set-cookie']

/** What an answer says that tells of a body's own form, which here is always the plain one. */
const ofAnotherForm = ['content-encoding', 'content-range']

const seconds = /^"?(\d{1,9})"?$/

/** Collects the fields of a raw list. */
export function fieldsOf(raw: readonly string[]): Fields {
  const fields = new Map<string, string[]>()
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    const value = raw[i + 1]!.trim()
    const values = fields.get(name)
    if (values === undefined) fields.set(name, [value])
    else values.push(value)
  }
  return fields
}

/** The fields after a 304: what it says takes the place of what was said before (RFC 9111 §3.2). */
export function freshened(fields: Fields, later: Fields): Fields {
  const kept = new Map([...fields].filter(([name]) => !ofOneAnswer.includes(name)))
  for (const [name, values] of later) if (!name.startsWith('content-')) kept.set(name, values)
  return kept
}

/** The directives of `Cache-Control`, by name; a name that comes twice has both values. */
function directives(fields: Fields): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const value of fields.get('cache-control') ?? []) {
    for (const directive of directivesOf(value)) {
      const [name = '', argument = ''] = directive.split(/\s*=\s*/, 2)
      const key = name.toLowerCase()
      found.set(key, [...(found.get(key) ?? []), argument])
    }
  }
  return found
}

/** Seconds as milliseconds; the least of several, and 0 for what can't be read: it is stale then (RFC 9111 §4.2.1). */
function least(values: readonly string[]): Milliseconds {
  return Math.min(...values.map((value) => Number(seconds.exec(value)?.[1] ?? 0) * 1000))
}

/** The freshness that the answer itself gives; undefined for none. */
function explicitFreshness(
  fields: Fields,
  said: ReadonlyMap<string, readonly string[]>,
  now: Milliseconds,
): Milliseconds | undefined {
  const age = said.get('s-maxage') ?? said.get('max-age')
  if (age !== undefined) return least(age)
  const expires = fields.get('expires')
  if (expires === undefined) return undefined
  const [until = ''] = expires
  const from = Date.parse(fields.get('date')?.[0] ?? '') || now
  const left = expires.length === 1 ? Date.parse(until) - from : Number.NaN
  return Number.isNaN(left) ? 0 : Math.max(0, left)
}

/** Whether the answer is the same whatever the request says besides its target and its codings. */
function isSameForAll(fields: Fields): boolean {
  return (fields.get('vary') ?? [])
    .flatMap((value) => value.split(','))
    .every((name) => ['', 'accept-encoding'].includes(name.trim().toLowerCase()))
}

/** Trac gives every visitor without a cookie one, with static files, too: it is not kept, and takes nothing from the file. */
const visitorsCookie = /^trac_session=/

function setsCookie(fields: Fields, isTrac: boolean): boolean {
  return (fields.get('set-cookie') ?? []).some((value) => !(isTrac && visitorsCookie.test(value)))
}

/**
 * The terms on which an answer to a request of ours may be kept; undefined if it may not be.
 * @param fields of a 200, or {@link freshened} by a 304
 * @param normally how long an answer is fresh that does not say so itself
 */
export function termsOf(
  fields: Fields,
  isTrac: boolean,
  normally: Milliseconds,
  now: Milliseconds,
): Terms | undefined {
  const said = directives(fields)
  if (['no-store', 'private', 'no-cache'].some((name) => said.has(name))) return undefined
  if (!isSameForAll(fields) || setsCookie(fields, isTrac)) return undefined
  if (ofAnotherForm.some((name) => fields.has(name))) return undefined
  const explicit = explicitFreshness(fields, said, now)
  if (explicit === 0) return undefined
  const checked = ['must-revalidate', 'proxy-revalidate', 's-maxage']
  return {
    fields,
    age: least(fields.get('age') ?? ['0']),
    freshFor: Math.min(explicit ?? normally, maxAge),
    mayBeStale: !checked.some((name) => said.has(name)),
    mayTransform: !said.has('no-transform'),
    etag: fields.get('etag')?.[0] ?? '',
    lastModified: fields.get('last-modified')?.[0] ?? '',
  }
}

/** What a file is at a moment. `old` is never sent again before its upstream was asked. */
export type State = 'fresh' | 'stale' | 'old'

/** How old it is; a clock that was set back makes it old. */
export function ageOf(terms: Terms, checkedAt: Milliseconds, now: Milliseconds): Milliseconds {
  const since = now - checkedAt
  return since < 0 ? Number.POSITIVE_INFINITY : since + terms.age
}

/** Judges it by its age. */
export function stateOf(terms: Terms, age: Milliseconds): State {
  if (age > maxAge) return 'old'
  if (age < terms.freshFor) return 'fresh'
  return terms.mayBeStale ? 'stale' : 'old'
}
