/** The look-alike's user pool: its people, clients, settings and sign-ins, and the tokens it mints. */
import { randomUUID } from 'node:crypto'
import type { Now } from '../core/clock.js'
import { createPeople } from './people.js'
import type { Person } from './people.js'
import { Mint, createPoolKeys } from './provider-tokens.js'
import type { Claims, PoolKeys, SignIn, TokenUse } from './provider-tokens.js'

/** One app client of the pool. */
export interface DemoClient {
  clientId: string
  /** Absent: a public client. Taken by `client_secret_basic` and `client_secret_post`, as Cognito does. */
  clientSecret?: string
  /** Addresses a code may be sent to, compared exactly. */
  redirectUris: string[]
  /** Addresses `/logout` may lead to, compared exactly. */
  logoutUris: string[]
  /** Scopes it may ask for. A machine that asks for none gets all. */
  scopes: string[]
  /** True: `client_credentials` only, as Cognito wants it of a client with custom scopes. */
  machine?: boolean
}

/** What can be changed while the provider runs. Spans are in seconds. */
export interface DemoSettings {
  idTokenLifetime: number
  accessTokenLifetime: number
  refreshTokenLifetime: number
  /** How long the provider's own browser session lives. */
  sessionLifetime: number
  /** Off, as Cognito's default: the answer to a refresh has no `refresh_token`. */
  rotateRefreshTokens: boolean
  /** A last word on the claims of every token of a person; a claim set to undefined is left out. */
  alterClaims: (claims: Claims, use: TokenUse, person: Person) => Claims
}
/** How to start a provider; everything has a default. */
export interface DemoProviderOptions extends Partial<DemoSettings> {
  /** Default `127.0.0.1`. */
  host?: string
  /** Default 0: any free port. */
  port?: number
  /** Default `us-east-1_Example`: the last part of the issuer. */
  poolId?: string
  /** Default: the three of {@link createPeople}. */
  people?: Person[]
  /** Default: one public client without addresses; push to `redirectUris` when they are known. */
  clients?: DemoClient[]
  /** Keys of an earlier provider, to come back as the same pool. Default: made at start. */
  keys?: PoolKeys
  /** The clock of the tokens. Default: the real one. */
  now?: Now
}
/** The endpoints whose requests are counted. */
export type Endpoint =
  | 'discovery'
  | 'jwks'
  | 'authorize'
  | 'login'
  | 'token'
  | 'revoke'
  | 'userInfo'
  | 'getUser'
  | 'logout'
  | 'other'

/** How a token is minted for a test. */
export interface MintOptions {
  /** Default `id`. */
  use?: TokenUse
  /** Whose claims to begin with. Default: nobody's, only `iss`, `exp` and the like. */
  person?: Person
  /** Default: the first client. */
  clientId?: string
  /** Default `openid email profile`; access tokens only. */
  scope?: string
  /** Merged into the protected header. */
  header?: Record<string, unknown>
}
/** The scope that lets an access token call GetUser. */
export const userAdminScope = 'aws.cognito.signin.user.admin'

/** Scopes a pool offers to people. */
export const personScopes = ['openid', 'email', 'phone', 'profile', userAdminScope]
/** A public client as an app client of a fresh pool has it. */
export function createDemoClient(addresses: {
  redirectUris?: string[]
  logoutUris?: string[]
}): DemoClient {
  return {
    clientId: '1example23456789demo',
    redirectUris: addresses.redirectUris ?? [],
    logoutUris: addresses.logoutUris ?? [],
    scopes: [...personScopes],
  }
}

/** What the endpoints of one provider share. */
export class Pool {
  readonly origin: string
  readonly poolPath: string
  readonly now: Now
  readonly mint: Mint
  readonly people: Person[]
  readonly clients: DemoClient[]
  readonly settings: DemoSettings
  readonly counts: Record<Endpoint, number> = {
    discovery: 0,
    jwks: 0,
    authorize: 0,
    login: 0,
    token: 0,
    revoke: 0,
    userInfo: 0,
    getUser: 0,
    logout: 0,
    other: 0,
  }
  /** By grant id. A grant belongs to one sign-in. */
  readonly signIns = new Map<string, SignIn>()
  readonly revokedOrigins = new Set<unknown>()

  constructor(origin: string, poolId: string, keys: PoolKeys, options: DemoProviderOptions) {
    const { people, clients, now } = options
    this.origin = origin
    this.poolPath = `/${poolId}`
    this.now = now ?? Date.now
    this.mint = new Mint(`${origin}${this.poolPath}`, keys, this.now)
    this.people = people ?? createPeople()
    this.clients = clients ?? [createDemoClient({})]
    this.settings = {
      idTokenLifetime: options.idTokenLifetime ?? 3600,
      accessTokenLifetime: options.accessTokenLifetime ?? 3600,
      refreshTokenLifetime: options.refreshTokenLifetime ?? 30 * 24 * 3600,
      sessionLifetime: options.sessionLifetime ?? 3600,
      rotateRefreshTokens: options.rotateRefreshTokens ?? false,
      alterClaims: options.alterClaims ?? ((claims) => claims),
    }
  }

  client(clientId: string | null): DemoClient | undefined {
    return this.clients.find((client) => client.clientId === clientId)
  }

  person(sub: unknown): Person | undefined {
    return this.people.find((person) => person.sub === sub)
  }

  /** Signs with new keys from now on. */
  async rotateKeys(forgetOld: boolean): Promise<void> {
    const { id, access } = this.mint.keys
    this.mint.retired = forgetOld ? [] : [id.publicJwk, access.publicJwk, ...this.mint.retired]
    this.mint.keys = await createPoolKeys()
  }

  /** Signs usual claims for `options` with `claims` over them. */
  async mintAny(claims: Claims = {}, options: MintOptions = {}): Promise<string> {
    const { use = 'id', person, scope = 'openid email profile' } = options
    const clientId = options.clientId ?? this.clients[0]?.clientId ?? ''
    const { idTokenLifetime, accessTokenLifetime } = this.settings
    const signIn = {
      originJti: randomUUID(),
      eventId: randomUUID(),
      authTime: this.mint.seconds(),
    }
    const subject = person ?? nobody
    const usual =
      use === 'id'
        ? this.mint.idClaims(subject, clientId, idTokenLifetime, signIn)
        : this.mint.accessClaims(subject, clientId, scope, accessTokenLifetime, signIn)
    return this.mint.sign({ ...usual, ...claims }, use, options.header)
  }
}

/** Whose claims a minted token has when no person is named. */
const nobody: Person = {
  email: 'nobody@example.edu',
  password: '',
  username: '00000000-0000-4000-8000-000000000000',
  sub: '00000000-0000-4000-8000-000000000000',
  name: 'Nobody',
  emailVerified: true,
  groups: [],
  permissions: [],
}
