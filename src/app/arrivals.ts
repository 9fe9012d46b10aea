/**
 * What arrives of one request that an operator announced by a random value: Host, scheme and address as the front proxy left
 * them. Only the admin listener announces and tells; to all others `/auth/healthz` answers as ever.
 */
import type { Milliseconds, Now } from '../core/clock.js'
import { saidScheme } from '../request/client-address.js'
import type { RequestContext } from '../request/context.js'

/** What arrived. */
export interface Arrived {
  readonly host: string
  /** The headers of the proxy, as they came; empty text if they did not. */
  readonly forwardedProto: string
  readonly forwardedFor: string
  readonly forwarded: string
  /** Who is at the other end of the connection, and whether it is in `server.trustedProxies`. */
  readonly peer: string
  readonly trusted: boolean
  /** How the visitor came, and from where, as all requests are judged; `unknown` if the proxy does not say. */
  readonly scheme: 'https' | 'http' | 'unknown'
  readonly address: string
  /** What the headers alone say. */
  readonly said: 'https' | 'http' | 'nothing'
}

/** An announcement counts for so long. */
const life: Milliseconds = 10_000
/** Bytes of a header that are told. */
const maxTold = 200
const valueForm = /^[A-Za-z0-9_-]{22,64}$/

/** One at a time: an announcement ends the one before it. */
export class Arrivals {
  readonly #now: Now
  #awaited: { readonly value: string; readonly at: Milliseconds; seen?: Arrived } | undefined

  constructor(now: Now) {
    this.#now = now
  }

  /** Waits for a value, or tells what came with it; undefined for what is no value. */
  ask(value: unknown): { readonly arrived: Arrived | null } | undefined {
    if (typeof value !== 'string' || !valueForm.test(value)) return undefined
    const arrived = this.#current(value)?.seen
    this.#awaited = arrived === undefined ? { value, at: this.#now() } : undefined
    return { arrived: arrived ?? null }
  }

  /** Looks at a request for `/auth/healthz`. */
  note({ target, headers, request, trusted, scheme, address }: RequestContext): void {
    if (this.#awaited === undefined) return
    const awaited = this.#current(new URLSearchParams(target.query).get('arrival') ?? '')
    if (awaited === undefined) return
    const told = (text: string) => text.slice(0, maxTold)
    awaited.seen = {
      host: told(headers.host),
      forwardedProto: told(headers.forwardedProto),
      forwardedFor: told(headers.forwardedFor),
      forwarded: told(headers.forwarded),
      peer: request.socket.remoteAddress ?? 'unix',
      trusted,
      scheme: scheme ?? 'unknown',
      address,
      said: saidScheme(headers) ?? 'nothing',
    }
  }

  #current(value: string) {
    const awaited = this.#awaited
    if (awaited === undefined || awaited.value !== value) return undefined
    return this.#now() - awaited.at <= life ? awaited : undefined
  }
}
