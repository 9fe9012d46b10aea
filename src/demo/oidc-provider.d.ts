/** The part of oidc-provider 9 that the demo uses; the package ships no types. */
declare module 'oidc-provider/lib/provider.js' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  /** A stored model's fields, as the adapter sees them. */
  export interface StoredModel {
    grantId?: string
    uid?: string
    consumed?: number
    [field: string]: unknown
  }

  /** Where oidc-provider keeps one kind of model. Expiry is in seconds. */
  export interface Adapter {
    upsert(id: string, payload: StoredModel, expiresIn?: number): Promise<void>
    find(id: string): Promise<StoredModel | undefined>
    findByUid(uid: string): Promise<StoredModel | undefined>
    findByUserCode(userCode: string): Promise<StoredModel | undefined>
    consume(id: string): Promise<void>
    destroy(id: string): Promise<void>
    revokeByGrantId(grantId: string): Promise<void>
  }

  export interface Account {
    accountId: string
    claims(): Record<string, unknown>
  }

  export interface Session {
    accountId?: string
    loginTs?: number
    destroy(): Promise<void>
  }

  export interface Grant {
    jti: string
    addOIDCScope(scope: string): void
    save(): Promise<string>
  }

  /** What an authorization code, a refresh token and an access token have in common here. */
  export interface Source {
    accountId?: string
    clientId?: string
    grantId?: string
    nonce?: string
    scope?: string
  }

  /** Koa's context with oidc-provider's own facts. */
  export interface OidcContext {
    status: number
    type: string
    /** Text for a page; an object for JSON, the token endpoint's answer among them. */
    body: string | Record<string, unknown>
    req: IncomingMessage
    res: ServerResponse
    response: { get(name: string): string | undefined }
    set(name: string, value: string): void
    oidc?: {
      route: string
      params?: Record<string, string | undefined>
      client: { clientId: string }
      session: Session
      account?: Account
      entities: {
        AccessToken?: Source
        AuthorizationCode?: Source
        RefreshToken?: Source
        ClientCredentials?: Source
      }
    }
  }

  export interface ClientMetadata extends StoredModel {
    client_id: string
    client_secret?: string
    token_endpoint_auth_method: string
    grant_types: string[]
    response_types: string[]
    redirect_uris: string[]
    scope: string
  }

  export interface Configuration {
    adapter: (model: string) => Adapter
    jwks: { keys: object[] }
    cookies: { keys: string[] }
    scopes: string[]
    claims: Record<string, unknown>
    features: Record<string, { enabled: boolean }>
    routes: Record<string, string>
    ttl: Record<string, number | (() => number)>
    interactions: { url(ctx: OidcContext, interaction: { uid: string }): string }
    formats: { bitsOfOpaqueRandomness(ctx: OidcContext, token: { kind: string }): number }
    findAccount(ctx: OidcContext, id: string): Account | undefined
    loadExistingGrant(ctx: OidcContext): Promise<Grant | undefined>
    issueRefreshToken(
      ctx: OidcContext,
      client: { grantTypeAllowed(type: string): boolean },
    ): boolean
    expiresWithSession(): boolean
    rotateRefreshToken(): boolean
    renderError(ctx: OidcContext, out: { error: string; error_description?: string }): void
  }

  export class Provider {
    constructor(issuer: string, configuration: Configuration)
    readonly Grant: new (of: { accountId: string; clientId: string }) => Grant
    readonly Session: { get(ctx: OidcContext): Promise<Session> }
    use(middleware: (ctx: OidcContext, next: () => Promise<void>) => Promise<void>): this
    on(event: 'grant.revoked', listener: (ctx: OidcContext, grantId: string) => void): this
    on(event: 'server_error', listener: (ctx: OidcContext, error: Error) => void): this
    callback(): (req: IncomingMessage, res: ServerResponse) => Promise<void>
    createContext(req: IncomingMessage, res: ServerResponse): OidcContext
    cookieName(type: 'session' | 'interaction'): string
    interactionDetails(req: IncomingMessage, res: ServerResponse): Promise<{ uid: string }>
    interactionFinished(
      req: IncomingMessage,
      res: ServerResponse,
      result: { login: { accountId: string; remember: boolean; ts: number } },
    ): Promise<void>
  }
}
