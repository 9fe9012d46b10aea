/** A real OpenID Connect provider on loopback that looks like a Cognito user pool and its domain. */
import { createServer } from 'node:http'
import { close, listen } from './local-server.js'
import type { Person } from './people.js'
import { route, sendJson } from './provider-endpoints.js'
import { createOidcCallback } from './provider-oidc.js'
import { Pool } from './provider-pool.js'
import type {
  DemoClient,
  DemoProviderOptions,
  DemoSettings,
  Endpoint,
  MintOptions,
} from './provider-pool.js'
import { createPoolKeys } from './provider-tokens.js'
import type { Claims, PoolKeys } from './provider-tokens.js'

/** A running provider. */
export interface DemoProvider {
  /** `http://127.0.0.1:PORT/us-east-1_Example`, as in `iss`. */
  readonly issuer: string
  /** `http://127.0.0.1:PORT`: stands for both Cognito's API host and the pool's domain. */
  readonly origin: string
  /** The same as `origin`. */
  readonly url: string
  readonly jwksUri: string
  /** The first client's id. */
  readonly clientId: string
  readonly clients: DemoClient[]
  readonly people: Person[]
  readonly settings: DemoSettings
  /** Requests received so far, by endpoint. */
  readonly counts: Record<Endpoint, number>
  /** The keys that sign now. */
  readonly keys: PoolKeys
  /** Signs any token with the pool's own key: usual claims for `options`, then `claims` over them. */
  mint(claims?: Claims, options?: MintOptions): Promise<string>
  /** Signs with new keys from now on; the old ones stay in the JWKS unless `forgetOld`. */
  rotateKeys(options?: { forgetOld?: boolean }): Promise<void>
  /** Closes the port and every connection. */
  stop(): Promise<void>
}
/**
 * Starts a provider.
 *
 * @throws The server's own error, `EADDRINUSE` for one, if the port can't be had.
 */
export async function startProvider(options: DemoProviderOptions = {}): Promise<DemoProvider> {
  const { host = '127.0.0.1', port = 0, poolId = 'us-east-1_Example' } = options
  const keys = options.keys ?? (await createPoolKeys())
  const server = createServer()
  const origin = await listen(server, host, port)
  const pool = new Pool(origin, poolId, keys, options)
  const callback = await createOidcCallback(pool)
  server.on('request', (req, res) => {
    route(pool, callback, req, res).catch((error: unknown) => {
      if (!res.headersSent) sendJson(res, 500, { error: 'server_error' })
      res.destroy(error instanceof Error ? error : undefined)
    })
  })
  return toProvider(pool, () => close(server))
}

function toProvider(pool: Pool, stop: () => Promise<void>): DemoProvider {
  const { origin, people, clients, settings, counts, mint } = pool
  return {
    issuer: mint.issuer,
    origin,
    url: origin,
    jwksUri: `${mint.issuer}/.well-known/jwks.json`,
    get clientId() {
      return clients[0]?.clientId ?? ''
    },
    clients,
    people,
    settings,
    counts,
    get keys() {
      return mint.keys
    },
    mint: (claims, options) => pool.mintAny(claims, options),
    rotateKeys: (options) => pool.rotateKeys(options?.forgetOld ?? false),
    stop,
  }
}
