/** Turns the units of gateway.yaml into numbers: spans to milliseconds, sizes to bytes, networks checked. */
import { isIP } from 'node:net'
import type { Milliseconds } from '../core/clock.js'

/** A number of bytes. */
export type Bytes = number

const spanUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
}

function parseUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(0|[1-9][0-9]*)([A-Za-z]+)$/.exec(text)
  const unit = match?.[2]
  if (match === null || unit === undefined || !Object.hasOwn(units, unit)) return undefined
  const value = Number(match[1]) * (units[unit] ?? Number.NaN)
  return Number.isSafeInteger(value) ? value : undefined
}

/** Milliseconds of `500ms`, `30s`, `15m`, `8h`, `7d`; undefined for anything else, a bare number too. */
export const parseSpan = (text: string): Milliseconds | undefined => parseUnit(text, spanUnits)

/** Bytes of `4000B`, `64KiB`, `10MiB`, `1GiB`; undefined for anything else, a bare number too. */
export const parseSize = (text: string): Bytes | undefined => parseUnit(text, sizeUnits)

/** A network: its address, the length of its prefix, and the family. */
export interface Network {
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** The network of `10.0.0.0/8`, `fd00::/8` or a single address (RFC 4632, RFC 4291 §2.3). */
export function parseCidr(text: string): Network | undefined {
  const [address = '', length, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0 || address.includes('%')) return undefined
  const longest = version === 4 ? 32 : 128
  if (length !== undefined && !/^(0|[1-9][0-9]{0,2})$/.test(length)) return undefined
  const prefix = length === undefined ? longest : Number(length)
  if (prefix > longest) return undefined
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' }
}
