/** The process and its services for whoever only asks: they answer as those that serve, and change nothing. */
import { createAwaitedAnswers } from '../../endpoints/refresh.js'
import { createLogger } from '../../observe/logger.js'
import { createMetrics } from '../../observe/metrics.js'
import type { KeySource } from '../../oidc/issuer-keys.js'
import type { Issuer } from '../../oidc/verify-token.js'
import { SeenPeople } from '../../session/seen-people.js'
import type { TokenStore } from '../../tokens/token-store.js'
import type { AppContext } from '../context.js'
import { createServices } from '../services.js'
import type { Services } from '../services.js'

/** What an answer would have needed from elsewhere. */
export class Unasked {
  /** Whether the provider may be asked. */
  isOnline = false
  #parts: string[] = []

  /** Notes that something was not asked; the error ends whatever needed it. */
  note(what: string): Error {
    this.#parts.push(what)
    return new Error(`not asked: ${what}`)
  }

  /** What was not asked since the last call. */
  take(): readonly string[] {
    const parts = this.#parts
    this.#parts = []
    return parts
  }
}

/** Personal tokens, for whoever only looks: no use of one is noted, and no proof of its owner. */
function onlyLookingAt(store: TokenStore): TokenStore {
  const refuse = () => Promise.reject(new Error('this only looks'))
  return {
    known: (id) => store.known(id),
    find: (id) => store.find(id),
    list: (owner) => store.list(owner),
    owners: () => store.owners(),
    add: refuse,
    remove: refuse,
    removeAll: refuse,
    prove: () => Promise.resolve(),
    noteUse: () => undefined,
    flush: () => Promise.resolve(),
    close: () => undefined,
  }
}

/** A process that does the same, and is not seen to. */
function quiet(app: AppContext, unasked: Unasked): AppContext {
  const nothing = () => undefined
  return {
    ...app,
    logger: createLogger('silent', { write: nothing }),
    metrics: createMetrics({ version: '' }, false),
    storage: { ...app.storage, state: { ...app.storage.state, seen: new SeenPeople() } },
    nameRegistry: app.nameRegistry.withoutClaiming(),
    tokenStore: app.tokenStore && onlyLookingAt(app.tokenStore),
    fetch: (url, init, limit) => {
      if (unasked.isOnline) return app.fetch(url, init, limit)
      return Promise.reject(unasked.note(`the provider (${new URL(url).origin})`))
    },
    tracing: undefined,
    awaited: createAwaitedAnswers(app.now),
    onKeys: nothing,
    onUpstream: nothing,
    onPlugin: nothing,
  }
}

/** The keys of an issuer: those that are known, unless the provider may be asked. */
function withKnownKeys(issuer: Issuer, unasked: Unasked): Issuer {
  const { keys } = issuer
  const known = keys.withoutFetching(() => unasked.note(`the keys of ${issuer.issuer}`))
  const source = (): KeySource => (unasked.isOnline ? keys : known)
  return {
    ...issuer,
    keys: {
      find: (header, origin) => source().find(header, origin),
      findNewer: (failed, header, origin) => source().findNewer(failed, header, origin),
      refresh: () => source().refresh(),
      withoutFetching: (ask) => keys.withoutFetching(ask),
      get generation() {
        return keys.generation
      },
      get fetchedAt() {
        return keys.fetchedAt
      },
      get inUse() {
        return keys.inUse
      },
      get isOld() {
        return source().isOld
      },
      get fault() {
        return source().fault
      },
    },
  }
}

/** Services that answer by what `services` know, and the process that they see. */
export function createReadOnly(services: Services, app: AppContext, unasked: Unasked) {
  const { main, all } = services.issuers
  const issuers = {
    main: withKnownKeys(main, unasked),
    all: all.map((one) => withKnownKeys(one, unasked)),
  }
  const asking = quiet(app, unasked)
  const endpoints: Services['endpoints'] = () =>
    unasked.isOnline
      ? services.endpoints()
      : Promise.reject(unasked.note(`the provider (${main.issuer})`))
  const previous = { config: services.config, endpoints, issuers }
  const badTokens: Services['badTokens'] = {
    check: (address) => services.badTokens.check(address),
    count: () => undefined,
  }
  return { app: asking, services: createServices(services.config, asking, previous, badTokens) }
}
