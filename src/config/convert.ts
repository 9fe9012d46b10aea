/** Turns the text of one key into its value, or says what was wanted instead. */
import { resolve } from 'node:path'
import { parseUrl } from './hosts.js'
import type { Address, KeySchema, Reads } from './schema.js'
import { parseCidr, parseSize, parseSpan } from './units.js'

/** A value, or what was wrong with the text. */
export type Converted = { readonly value: unknown } | { readonly wanted: string }

type Converter = (text: string, schema: KeySchema, folder: string) => Converted

const refuse = (wanted: string): Converted => ({ wanted })

const wantedOf = (schema: KeySchema): string => schema.wanted ?? 'another value'

/** Highest TCP port. */
const highestPort = 65_535

function readAddress(text: string, schema: KeySchema): Converted {
  const unix = /^unix:(\/.+)$/.exec(text)
  if (unix?.[1] !== undefined) return { value: { path: unix[1] } satisfies Address }
  const tcp = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(text)
  const host = tcp?.[1] ?? tcp?.[2]
  const port = Number(tcp?.[3])
  if (host === undefined || !(port <= highestPort)) return refuse(wantedOf(schema))
  return { value: { host, port } satisfies Address }
}

function readSpan(text: string, schema: KeySchema): Converted {
  const value = parseSpan(text)
  if (value === undefined) return refuse(wantedOf(schema))
  const least = parseSpan(schema.least ?? '') ?? 0
  const most = parseSpan(schema.most ?? '') ?? Number.MAX_SAFE_INTEGER
  if (value < least || value > most) {
    return refuse(`a span from ${schema.least ?? '0s'} to ${schema.most ?? 'any'}`)
  }
  return { value }
}

function readSize(text: string, schema: KeySchema): Converted {
  const value = parseSize(text)
  if (value === undefined) {
    return refuse(
      /^\d+ ?[kKmMgG]i?[bB]?$/.test(text)
        ? 'a size in KiB, MiB or GiB (1 KiB is 1024 bytes), without a space'
        : wantedOf(schema),
    )
  }
  const least = parseSize(schema.least ?? '') ?? 0
  const most = parseSize(schema.most ?? '') ?? Number.MAX_SAFE_INTEGER
  if (value < least || value > most) {
    return refuse(`a size from ${schema.least ?? '0B'} to ${schema.most ?? 'any'}`)
  }
  return { value }
}

function readCidr(text: string, schema: KeySchema): Converted {
  return text === 'unix' || parseCidr(text) !== undefined
    ? { value: text }
    : refuse(wantedOf(schema))
}

/** Base paths that every parser reads alike. */
const basePath = /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~-]+)*\/?$/

function readPublicUrl(text: string, schema: KeySchema): Converted {
  const url = parseUrl(text)
  if (url === undefined || !/^https?:\/\/[^\s\\]+$/.test(text)) return refuse(wantedOf(schema))
  if (text.includes('?') || text.includes('#')) {
    return refuse('an address without query or fragment (no ? and no #)')
  }
  if (url.username !== '' || url.password !== '') return refuse('an address without user name')
  const rawPath = /^https?:\/\/[^/]*(.*)$/.exec(text)?.[1] ?? ''
  if (!basePath.test(rawPath)) return refuse('a base path of plain segments, such as /trac')
  return { value: url.origin + rawPath.replace(/\/$/, '') }
}

function readIssuer(text: string, schema: KeySchema): Converted {
  const url = parseUrl(text)
  return url === undefined ||
    !/^https?:\/\//.test(text) ||
    /[?#\s]/.test(text) ||
    url.username !== ''
    ? refuse(wantedOf(schema))
    : { value: text }
}

function readUpstream(text: string, schema: KeySchema): Converted {
  if (/^unix:\/./.test(text)) return { value: text }
  const url = parseUrl(text)
  if (url === undefined || !/^https?:\/\/[^\s\\]+$/.test(text)) return refuse(wantedOf(schema))
  if (url.username !== '' || url.password !== '') return refuse('an origin without user name')
  if (url.pathname !== '/' || /[?#]/.test(text)) {
    return refuse(`an origin without path (the base path goes on unchanged): ${url.origin}`)
  }
  return { value: url.origin }
}

function readPattern(text: string, schema: KeySchema): Converted {
  if (!text.startsWith('/')) return refuse('a path pattern that starts with /')
  if (text.includes('?')) return refuse('a path alone; conditions on the query go into `query`')
  if (/%[0-9A-Fa-f]{2}/.test(text)) return refuse('the path as it is after percent-decoding')
  if (/[\p{Cc}\\#]/u.test(text)) return refuse(wantedOf(schema))
  const segments = text.slice(1).split('/')
  for (const [index, segment] of segments.entries()) {
    if (segment === '' && index < segments.length - 1)
      return refuse('a path without empty segments')
    if (segment === '.' || segment === '..') return refuse('a path without . and .. segments')
    if (segment.includes('**') && segment !== '**') {
      return refuse('** only as a whole segment, such as /api/**')
    }
  }
  return { value: text }
}

const plain: Converter = (text) => ({ value: text })

const converters: Readonly<Record<Exclude<Reads, 'secret' | 'pem'>, Converter>> = {
  plain,
  span: readSpan,
  size: readSize,
  address: readAddress,
  cidr: readCidr,
  path: (text, _schema, folder) => ({ value: resolve(folder, text) }),
  publicUrl: readPublicUrl,
  issuer: readIssuer,
  upstream: readUpstream,
  pattern: readPattern,
}

/** The value of one text. `folder` is where relative paths count from. */
export function convertText(text: string, schema: KeySchema, folder: string): Converted {
  const { reads = 'plain' } = schema
  if (reads === 'secret' || reads === 'pem') return refuse(wantedOf(schema))
  if (text.length < (schema.minLength ?? 0)) return refuse(wantedOf(schema))
  if (text.length > (schema.maxLength ?? Number.POSITIVE_INFINITY)) {
    return refuse(`at most ${schema.maxLength} characters`)
  }
  if (reads !== 'plain') return converters[reads](text, schema, folder)
  if (schema.enum !== undefined && !schema.enum.includes(text)) return refuse(wantedOf(schema))
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(text)) {
    return refuse(wantedOf(schema))
  }
  return { value: text }
}
