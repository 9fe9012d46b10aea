/** A request as it would arrive, and an answer that is only written down: nothing is sent or received. */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Config } from '../../config/schema.js'
import { GatewayError } from '../../core/errors.js'
import { isRead } from '../../core/methods.js'
import type { PublicUrl } from '../../core/public-url.js'
import { foreseeOverflow } from '../../http/unparsed.js'
import { asksForWebSocket } from '../../http/upgrade.js'
import type { Wish } from './wish.js'

/** What arrives, before anybody has read it. */
export interface Arrival {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly upgradeSocket: Duplex | undefined
  /** Why it would not become a request at all. */
  readonly fault: GatewayError | undefined
  /** What was answered so far; undefined for nothing. */
  answered(): Answered | undefined
  /** What the wish left open. */
  readonly assumed: readonly string[]
}

/** The head of an answer. */
export interface Answered {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** An address that belongs to nobody (RFC 5737 §3): the visitor's, where a proxy names it. */
const visitor = '192.0.2.1'

type Pair = readonly [name: string, value: string]

/** Pairs out of a flat list. */
export function toPairs(list: readonly string[]): readonly Pair[] {
  return list.flatMap((name, i) => (i % 2 === 0 ? [[name, list[i + 1] ?? ''] as const] : []))
}

/** The peer that a visitor's requests come from: a trusted proxy, where TLS ends in front. */
function usualPeer({ server }: Config): string {
  if ('path' in server.listen) return 'unix'
  const [proxy] = server.trustedProxies.filter((one) => one !== 'unix')
  return server.publicUrl.secure && server.tls === undefined && proxy !== undefined
    ? proxy.address
    : visitor
}

/** Headers that every request of a browser or program has, where the wish does not say otherwise. */
function fillIn(wish: Wish, config: Config, address: PublicUrl): readonly [Pair[], string[]] {
  const { headers = [], via = 'session', user, method = 'GET', peer } = wish
  const has = (...names: readonly string[]) =>
    headers.some(([name]) => names.includes(name.toLowerCase()))
  const pairs: Pair[] = [...headers]
  const assumed: string[] = []
  const add = (name: string, value: string, why: string): void => {
    pairs.push([name, value])
    assumed.push(`${name}: ${value} (${why})`)
  }
  if (!has('host')) pairs.unshift(['Host', address.host])
  const { tls } = config.server
  if (address.secure && tls === undefined && peer === undefined) {
    if (!has('x-forwarded-proto', 'forwarded')) {
      add('X-Forwarded-Proto', 'https', 'from the proxy in front')
    }
    if (!has('x-forwarded-for', 'forwarded')) {
      add('X-Forwarded-For', visitor, 'from the proxy in front')
    }
  }
  const needsOrigin = user !== undefined && via === 'session' && !isRead(method)
  if (needsOrigin && !has('origin', 'referer', 'sec-fetch-site')) {
    add('Sec-Fetch-Site', 'same-origin', 'as from a page of ours')
  }
  return [pairs, assumed]
}

/** The socket that it would come from, as far as anybody asks it. */
function socketOf(wish: Wish, config: Config): Socket {
  const peer = wish.peer ?? usualPeer(config)
  const socket = new Socket()
  const remoteAddress = peer === 'unix' ? undefined : peer
  Object.defineProperty(socket, 'remoteAddress', { value: remoteAddress })
  if (config.server.tls !== undefined) Object.defineProperty(socket, 'encrypted', { value: true })
  return socket
}

/** Headers by lower-case name, repeated ones joined. */
function joined(pairs: readonly Pair[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null)
  for (const [name, value] of pairs) {
    const key = name.toLowerCase()
    const before = headers[key]
    headers[key] = before === undefined ? value : `${before}, ${value}`
  }
  return headers
}

/** Whether Node would hand it over as an upgrade (RFC 9110 §7.8). */
function isUpgrade({ headers }: IncomingMessage): boolean {
  const connection = (headers.connection ?? '').toLowerCase().split(',')
  return (headers.upgrade ?? '') !== '' && connection.some((one) => one.trim() === 'upgrade')
}

/** The socket that waits for a WebSocket, or why there is none. */
function readUpgrade(request: IncomingMessage): Pick<Arrival, 'upgradeSocket' | 'fault'> {
  try {
    const isAsked = isUpgrade(request) && asksForWebSocket(request)
    return { upgradeSocket: isAsked ? new Socket() : undefined, fault: undefined }
  } catch (fault) {
    if (!(fault instanceof GatewayError)) throw fault
    return { upgradeSocket: undefined, fault }
  }
}

/** An answer that writes down its head. */
function recorder(request: IncomingMessage) {
  const response = new ServerResponse(request)
  let answered: Answered | undefined
  const writeHead = (status: number, list: readonly string[] = []): ServerResponse => {
    answered ??= { status, headers: toPairs(list) }
    return response
  }
  // Its callers are our own: they hand over one flat list.
  response.writeHead = writeHead as typeof response.writeHead
  response.end = () => response
  response.writeContinue = () => undefined
  return { response, answered: () => answered }
}

/**
 * Makes it of a wish.
 * @param credential headers that stand for whoever was described
 */
export function arrive(
  wish: Wish,
  config: Config,
  credential: readonly (readonly [name: string, value: string])[],
): Arrival {
  const [pairs, assumed] = fillIn(wish, config, config.server.publicUrl)
  const all = [...pairs, ...credential]
  const socket = socketOf(wish, config)
  const request = new IncomingMessage(socket)
  request.method = wish.method ?? 'GET'
  request.url = wish.target
  request.httpVersion = '1.1'
  request.httpVersionMajor = 1
  request.httpVersionMinor = 1
  request.rawHeaders = all.flat()
  // Node's parser tells it how many there are, and nobody else can.
  request.headers = joined(all)
  const overflow = foreseeOverflow(request, config.server.limits.header)
  const asked = overflow === undefined ? readUpgrade(request) : { fault: overflow }
  return { request, ...recorder(request), upgradeSocket: undefined, ...asked, assumed }
}
