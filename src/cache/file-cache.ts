/**
 * Files kept in memory (RFC 9111): a stage that stands behind the policy and before forwarding, and answers what it has.
 *
 * What is kept was asked for by the gateway itself: a GET of nobody's, with a fixed set of headers. So no header, query,
 * cookie or body of a client can have had a part in it. The key is the upstream and the target that was asked for.
 */
import { LRUCache } from 'lru-cache'
import type { Milliseconds, Now, Timers } from '../core/clock.js'
import type { IdentityHeaders } from '../core/identity.js'
import { isCompressible, tiny } from '../core/media-types.js'
import { isRead } from '../core/methods.js'
import { SingleFlight } from '../core/single-flight.js'
import { clientHeaders } from '../forward/response-headers.js'
import type { ResponseRules } from '../forward/response-headers.js'
import type { JudgePlugin } from '../forward/plugin-proof.js'
import type { Upstream } from '../forward/upstream.js'
import type { HeaderList } from '../edge/reply.js'
import type { RequestContext, Stage } from '../request/context.js'
import { hasBody } from '../request/headers.js'
import { answerWith } from './answer.js'
import { Compressor } from './compressor.js'
import { fetchFile } from './fetch-file.js'
import type { FetchedFile } from './fetch-file.js'
import { formOf, maxFile } from './store.js'
import type { FileStore, KeptFile } from './store.js'
import { ageOf, fieldsOf, freshened, stateOf, termsOf } from './terms.js'
import type { Terms } from './terms.js'

/** How a request to a row whose files are kept was answered. `pass`: not from here. */
export type CacheResult = 'hit' | 'stale' | 'fill' | 'pass'

/** What became of a request of our own: `new`, `same` as before, `refused` to be kept, or a `fault`. */
export type FillResult = 'new' | 'same' | 'refused' | 'fault'

/** What the cache is made of. */
export interface FileCacheParts {
  readonly store: FileStore
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly responseRules: ResponseRules
  /** The identity headers of nobody. */
  readonly anonymous: IdentityHeaders
  /** A new request id. */
  readonly newId: () => string
  /** `cache.fresh` and `cache.browser`. */
  readonly fresh: Milliseconds
  readonly browser: Milliseconds
  /** Whether smaller forms are made. */
  readonly compresses: boolean
  readonly judgePlugin: JudgePlugin
  readonly now: Now
  readonly timers: Timers
  readonly onRequest: (result: CacheResult) => void
  readonly onFill: (result: FillResult) => void
}

/** Requests of our own that run at once: as many files as these are in memory besides those that are kept. */
const maxFills = 8
/** Requests of clients that wait for one of them; others are forwarded. */
const maxWaiting = 1000
/** How long one may take. */
const fillLimit: Milliseconds = 10_000
/** For so long a target that gave nothing to keep is not tried again; so many are remembered, the oldest is forgotten. */
const passFor: Milliseconds = 30_000
const maxPassed = 1000

/** What is asked for on behalf of a request: its upstream and target, and the key that stands for both. */
interface Wanted {
  readonly upstream: Upstream
  /** The identity headers of nobody there. */
  readonly anonymous: IdentityHeaders
  readonly path: string
  readonly query: string
  readonly sent: string
  readonly key: string
}

/** Fields of an answer that are made anew for each of ours, or that tell of a form that ours has not. */
const ownFields: ReadonlySet<string> = new Set([
  ...['x-request-id', 'set-cookie', 'age', 'cache-control', 'date', 'etag', 'expires', 'pragma'],
  ...['vary', 'warning', 'accept-ranges', 'content-length', 'content-encoding', 'via'],
  ...['content-md5', 'digest', 'content-digest', 'repr-digest'],
])

/** Neither a target nor a name of an upstream has a line end in it, so that no two of them have one key. */
const keyOf = (upstream: string, sent: string): string => `${upstream}\n${sent}`

/** Keeps the files of one configuration. */
export class FileCache {
  readonly #parts: FileCacheParts
  readonly #compressor: Compressor
  readonly #flights = new SingleFlight<KeptFile | undefined>()
  readonly #passed = new LRUCache<string, Milliseconds>({ max: maxPassed })
  #fills = 0
  #waiting = 0

  constructor(parts: FileCacheParts) {
    this.#parts = parts
    this.#compressor = new Compressor(parts.store)
  }

  /** Answers from what is kept, or lets the request go on to its upstream. */
  readonly answer: Stage = (context) => {
    const wanted = this.#wantedBy(context)
    if (wanted === undefined) return undefined
    const file = this.#parts.store.get(wanted.key)
    const state = file === undefined ? 'old' : stateOf(file.terms, this.#ageOf(file))
    if (file !== undefined && state === 'fresh') return this.#send(context, file, 'hit')
    const flight = this.#fill(context, wanted, file)
    if (flight === undefined) return this.#pass()
    // Once more, while it is asked for again.
    if (file !== undefined && state === 'stale') return this.#send(context, file, 'stale')
    return this.#wait(context, flight)
  }

  #ageOf({ terms, checkedAt }: KeptFile): Milliseconds {
    return ageOf(terms, checkedAt, this.#parts.now())
  }

  /** What to look for; undefined for what is never answered from here. */
  #wantedBy(context: RequestContext): Wanted | undefined {
    const { route, method, headers, target } = context
    if (route.cache === 'off' || !isRead(method) || context.preflight) return undefined
    if (context.upgradeSocket !== undefined || hasBody(headers) || headers.expectContinue) {
      return undefined
    }
    const upstream = this.#parts.upstreams.get(context.upstream)
    if (upstream === undefined) return undefined
    const query = route.cache === 'path' ? '' : target.query
    const sent = query === target.query ? target.sent : target.sent.split('?', 1)[0]!
    const anonymous =
      context.environment?.anonymous.principal.identityHeaders ?? this.#parts.anonymous
    const { path } = target
    return { upstream, anonymous, path, query, sent, key: keyOf(upstream.name, sent) }
  }

  #send(context: RequestContext, file: KeptFile, result: CacheResult): 'answered' {
    context.fromCache = result
    this.#parts.onRequest(result)
    answerWith(context, file, this.#parts.browser, this.#ageOf(file))
    return 'answered'
  }

  #pass(): undefined {
    this.#parts.onRequest('pass')
    return undefined
  }

  async #wait(
    context: RequestContext,
    flight: Promise<KeptFile | undefined>,
  ): Promise<'answered' | undefined> {
    if (this.#waiting >= maxWaiting) return this.#pass()
    this.#waiting++
    const file = await flight
    this.#waiting--
    return file === undefined ? this.#pass() : this.#send(context, file, 'fill')
  }

  /**
   * Joins the request of ours for this target, or makes one in the place of the client's at its upstream.
   * @returns undefined if there is none and none can be made now
   */
  #fill(
    context: RequestContext,
    wanted: Wanted,
    file: KeptFile | undefined,
  ): Promise<KeptFile | undefined> | undefined {
    const { key, upstream } = wanted
    const joined = this.#flights.current(key)
    if (joined !== undefined) return joined
    if (this.#fills >= maxFills || this.#isPassed(key)) return undefined
    if (!upstream.requests.take(context)) return undefined
    this.#fills++
    return this.#flights.run(key, async () => {
      try {
        return await this.#fetch(context, wanted, file)
      } catch {
        // Forwarding meets the same fault, and tells of it.
        return undefined
      } finally {
        this.#fills--
        upstream.requests.release(context)
      }
    })
  }

  #isPassed(key: string): boolean {
    const since = this.#passed.get(key)
    const age = since === undefined ? passFor : this.#parts.now() - since
    return age >= 0 && age < passFor
  }

  async #fetch(
    context: RequestContext,
    wanted: Wanted,
    file: KeptFile | undefined,
  ): Promise<KeptFile | undefined> {
    const { store, timers, now, onFill } = this.#parts
    const { epoch } = store
    const { signature, headers } = this.#headersFor(wanted, file)
    const request = { path: wanted.sent, headers, maxBytes: maxFile, limit: fillLimit }
    const startedAt = now()
    const fetched = await fetchFile(wanted.upstream, request, timers)
    if (typeof fetched === 'string') {
      store.delete(wanted.key)
      if (fetched === 'given up') this.#passed.set(wanted.key, now())
      onFill('fault')
      return undefined
    }
    const { status, raw } = fetched
    const { route, environment } = context
    this.#parts.judgePlugin({ route, environment, signature }, wanted.upstream, status, raw)
    const next = this.#toFile(wanted, fetched, file, startedAt)
    // What was asked for before the cache was emptied may be older than that.
    if (next === undefined || epoch !== store.epoch) {
      store.delete(wanted.key)
      if (next === undefined) this.#passed.set(wanted.key, now())
      onFill('refused')
      return undefined
    }
    store.set(wanted.key, next)
    onFill(next.identity === file?.identity ? 'same' : 'new')
    if (next.isCompressible && next.identity !== file?.identity) this.#compressor.add(wanted.key)
    return next
  }

  /** The whole of what is sent: ours, and what the upstream itself told of the file that is kept. */
  #headersFor(
    { upstream, anonymous, path, query }: Wanted,
    file: KeptFile | undefined,
  ): { readonly signature: string; readonly headers: string[] } {
    const { now, newId } = this.#parts
    const { host, proto, via } = upstream.headerRules
    const asked = { method: 'GET', host, path, query }
    const signature = upstream.sign?.(asked, anonymous, Math.floor(now() / 1000), 0) ?? ''
    const headers = [
      ...['Host', host, 'Accept', '*/*', 'Accept-Encoding', 'identity'],
      ...['X-Forwarded-Proto', proto, 'X-Forwarded-Host', host, 'X-Request-Id', newId()],
      ...['Via', via, 'X-Trac-User', anonymous.user, 'X-Trac-Perms', anonymous.perms],
    ]
    if (signature !== '') headers.push('X-Trac-Signature', signature)
    const { etag = '', lastModified = '' } = file?.terms ?? {}
    if (etag !== '') headers.push('If-None-Match', etag)
    if (lastModified !== '') headers.push('If-Modified-Since', lastModified)
    return { signature, headers }
  }

  /** What is kept of an answer; undefined for nothing. */
  #toFile(
    { upstream }: Wanted,
    { status, raw, body }: FetchedFile,
    file: KeptFile | undefined,
    checkedAt: Milliseconds,
  ): KeptFile | undefined {
    const fields = fieldsOf(raw)
    const judge = (all: typeof fields): Terms | undefined =>
      termsOf(all, upstream.isTrac, this.#parts.fresh, this.#parts.now())
    if (status === 304) {
      const etag = fields.get('etag')?.[0] ?? file?.terms.etag
      if (file === undefined || etag !== file.terms.etag) return undefined
      const terms = judge(freshened(file.terms.fields, fields))
      return terms && { ...file, terms, checkedAt }
    }
    const terms = status === 200 ? judge(fields) : undefined
    if (terms === undefined) return undefined
    const made = formOf('identity', body)
    const isSame = made.etag === file?.identity.etag
    const type = fields.get('content-type')?.[0] ?? ''
    return {
      headers: this.#headersOf(raw, upstream, false),
      headersByCookie: this.#headersOf(raw, upstream, true),
      terms,
      checkedAt,
      identity: isSame ? file.identity : made,
      compressed: isSame ? file.compressed : [],
      isCompressible:
        this.#parts.compresses && terms.mayTransform && isCompressible(type) && body.length >= tiny,
    }
  }

  /** The headers by the rules for every answer of an upstream, less those that are made for each request. */
  #headersOf(raw: readonly string[], upstream: Upstream, byCookie: boolean): HeaderList {
    const list = clientHeaders(raw, this.#parts.responseRules, {
      requestId: '',
      personal: false,
      byCookie,
      byTrac: false,
      declaresTypes: upstream.isTrac,
      setCookies: [],
    })
    return list.filter((_, i) => !ownFields.has(list[i - (i % 2)]!.toLowerCase()))
  }
}
