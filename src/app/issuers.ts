/** The issuers of one configuration with their keys; what an earlier one knows of the same provider is taken over. */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import type { Config } from '../config/schema.js'
import type { Milliseconds, Now } from '../core/clock.js'
import { replaceFile } from '../core/replace-file.js'
import type { Metrics } from '../observe/metrics.js'
import type { ProviderFetch } from '../oidc/provider-fetch.js'
import { IssuerKeys } from '../oidc/issuer-keys.js'
import type { KeySource } from '../oidc/issuer-keys.js'
import { createEndpointFinder } from '../oidc/provider-endpoints.js'
import type { FindEndpoints } from '../oidc/provider-endpoints.js'
import type { Issuer } from '../oidc/verify-token.js'
import type { OnReach } from './context.js'
import { tellFault } from './tell-fault.js'

/** What issuers share with the process. */
export interface IssuerContext {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly now: Now
  readonly random: () => number
  readonly fetch: ProviderFetch
  /** Whether the keys of the main issuer could be fetched just now. */
  readonly onKeys: OnReach
}

/** What is known of the provider under one configuration. */
export interface Provider {
  readonly config: Config
  /** Of the main issuer. */
  readonly endpoints: FindEndpoints
  /** The main issuer first, then the additional ones. */
  readonly issuers: { readonly main: Issuer; readonly all: readonly Issuer[] }
}

/** Keeps the key set of the main issuer over a restart. */
function keyFile(path: string | undefined, logger: Logger) {
  if (path === undefined) return {}
  const read = (): string | undefined => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return undefined
    }
  }
  const write = (text: string): void => replaceFile(path, text)
  const onFault = (cause: unknown) => logger.warn({ cause }, 'keys could not be kept in cacheFile')
  return { cache: { read, write, onFault } }
}

/** A provider that is down is asked every two seconds at first: the same reason is told once a minute. */
const tellAgainAfter: Milliseconds = 60_000

function tellFailures({ logger, now }: IssuerContext) {
  let told = { reason: '', at: Number.NEGATIVE_INFINITY }
  return (result: 'ok' | 'failed', cause: unknown): void => {
    const reason = result === 'ok' ? '' : (tellFault(cause) ?? String(cause))
    const isNew = reason !== told.reason || now() - told.at >= tellAgainAfter
    if (result === 'ok') told = { reason, at: Number.NEGATIVE_INFINITY }
    else if (isNew) {
      told = { reason, at: now() }
      logger.warn({ cause }, 'keys could not be fetched')
    }
  }
}

function createKeys(
  { identity }: Config,
  app: IssuerContext,
  jwksUri: () => Promise<string>,
  main: boolean,
): KeySource {
  const tell = tellFailures(app)
  return new IssuerKeys({
    jwksUri,
    algorithms: identity.algorithms,
    maxAge: identity.keys.maxAge,
    coolDown: identity.keys.coolDown,
    fetch: app.fetch,
    now: app.now,
    onFetch: (result, cause) => {
      app.metrics.jwksFetches.inc({ result })
      if (main) app.onKeys(result === 'ok', `keys of ${identity.issuer}`, tellFault(cause))
      tell(result, cause)
    },
    ...(main ? keyFile(identity.keys.cacheFile, app.logger) : {}),
  })
}

function createEndpoints(
  { identity }: Config,
  { fetch, now, random }: IssuerContext,
): FindEndpoints {
  return createEndpointFinder({
    issuer: identity.issuer,
    cognitoDomain: identity.cognito?.domain,
    insecure: identity.issuer.startsWith('http:'),
    fetch,
    now,
    random,
  })
}

/** The sources of `earlier` whose answers would be the same; by issuer. */
function keptKeys(config: Config, earlier: Provider | undefined): ReadonlyMap<string, KeySource> {
  const rules = ({ identity }: Config) => [identity.algorithms, identity.keys, identity.cognito]
  if (earlier === undefined || !isDeepStrictEqual(rules(config), rules(earlier.config))) {
    return new Map()
  }
  const isSame = ({ issuer, cognito, main }: Issuer) =>
    main ||
    config.identity.additionalIssuers.some((o) => o.issuer === issuer && o.cognito === cognito)
  return new Map(earlier.issuers.all.filter(isSame).map(({ issuer, keys }) => [issuer, keys]))
}

/** Builds them; nothing is fetched yet. The main issuer is the same in every configuration of a process. */
export function createIssuers(
  config: Config,
  app: IssuerContext,
  earlier: Provider | undefined,
): Omit<Provider, 'config'> {
  const { identity } = config
  const kept = keptKeys(config, earlier)
  const endpoints =
    earlier !== undefined && isDeepStrictEqual(earlier.config.identity.cognito, identity.cognito)
      ? earlier.endpoints
      : createEndpoints(config, app)
  const main: Issuer = {
    issuer: identity.issuer,
    cognito: identity.cognito !== undefined,
    main: true,
    clients: new Set([identity.clientId, ...identity.acceptClients]),
    machines: new Set(Object.keys(identity.machines)),
    keys:
      kept.get(identity.issuer) ??
      createKeys(config, app, async () => (await endpoints()).jwks, true),
  }
  const others = identity.additionalIssuers.map((other): Issuer => {
    const find = createEndpointFinder({
      issuer: other.issuer,
      cognitoDomain: other.cognito ? other.issuer : undefined,
      insecure: other.issuer.startsWith('http:'),
      fetch: app.fetch,
      now: app.now,
      random: app.random,
    })
    return {
      issuer: other.issuer,
      cognito: other.cognito,
      main: false,
      clients: new Set(other.clients),
      machines: new Set(),
      keys:
        kept.get(other.issuer) ?? createKeys(config, app, async () => (await find()).jwks, false),
    }
  })
  return { endpoints, issuers: { main, all: [main, ...others] } }
}
