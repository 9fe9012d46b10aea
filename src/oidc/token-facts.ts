/** What the log is told of a token that was refused: what it says of itself, and what was wanted; no signature, no secret. */
import type { JWTPayload, ProtectedHeaderParameters } from 'jose'
import type { Milliseconds, Now } from '../core/clock.js'
import type { ErrorCode, Facts } from '../core/errors.js'

/** What a token of an issuer is measured by. */
interface KnownIssuer {
  readonly issuer: string
  readonly cognito: boolean
  readonly clients: ReadonlySet<string>
  readonly machines: ReadonlySet<string>
}

/** What holds for tokens of every issuer. */
interface Limits {
  readonly algorithms: readonly string[]
  readonly clockTolerance: Milliseconds
  readonly maxTokenLife: Milliseconds
  readonly now: Now
}

/** A token that was refused. */
export interface RefusedToken {
  readonly header: ProtectedHeaderParameters
  /** Not verified. */
  readonly claims: JWTPayload
  /** The one that the token names, if it is known. */
  readonly issuer: KnownIssuer | undefined
}

/** What was found, and what was wanted under the same names. */
export interface TokenFacts {
  readonly found: Facts
  readonly wanted: Facts
}

/** Seconds since 1970 as a time to read; whatever else stands there is left out. */
function timeOf(seconds: unknown): string | undefined {
  const milliseconds = Number(seconds) * 1000
  return typeof seconds === 'number' && Math.abs(milliseconds) < 8.64e15
    ? new Date(milliseconds).toISOString()
    : undefined
}

/** Times beside ours. `ahead`: seconds that the provider's clock must be ahead of ours, if the token is new. */
function times({ iat, nbf, exp }: JWTPayload, { now, clockTolerance, maxTokenLife }: Limits) {
  const ours = now() / 1000
  return {
    found: {
      iat: timeOf(iat),
      nbf: timeOf(nbf),
      exp: timeOf(exp),
      now: timeOf(ours),
      ahead: typeof iat === 'number' ? Math.round(iat - ours) : undefined,
      life: typeof iat === 'number' && typeof exp === 'number' ? exp - iat : undefined,
    },
    wanted: { ahead: clockTolerance / 1000, life: maxTokenLife / 1000 },
  }
}

/** The facts of a refusal by one of the rules for tokens. */
export function tokenFacts(
  code: ErrorCode,
  { header, claims, issuer }: RefusedToken,
  issuers: readonly KnownIssuer[],
  rules: Limits,
): TokenFacts {
  const { iss } = claims
  switch (code) {
    case 'ERR_TOKEN_ISSUER':
      return { found: { issuer: iss }, wanted: { issuer: issuers.map((one) => one.issuer) } }
    case 'ERR_TOKEN_ALGORITHM':
      return { found: { issuer: iss, alg: header.alg }, wanted: { alg: rules.algorithms } }
    case 'ERR_TOKEN_KEY_UNKNOWN':
    case 'ERR_TOKEN_SIGNATURE':
      return {
        found: { issuer: iss, kid: header.kid ?? 'none', alg: header.alg },
        wanted: { keys: `those that ${issuer?.issuer ?? 'the issuer'} lists now` },
      }
    case 'ERR_TOKEN_EXPIRED':
    case 'ERR_TOKEN_TIME': {
      const { found, wanted } = times(claims, rules)
      return { found: { issuer: iss, ...found }, wanted }
    }
    case 'ERR_TOKEN_CLIENT': {
      const { aud, azp, client_id: client } = claims
      const clients = issuer === undefined ? [] : [...issuer.clients, ...issuer.machines]
      return { found: { issuer: iss, aud, azp, client_id: client }, wanted: { client: clients } }
    }
    default:
      return {
        found: {
          issuer: iss,
          typ: header.typ ?? claims['typ'],
          token_use: claims['token_use'],
          claims: Object.keys(claims),
        },
        wanted: { dialect: issuer?.cognito === true ? 'cognito' : 'OpenID Connect' },
      }
  }
}
