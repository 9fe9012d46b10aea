/** Fills in what follows from other keys, once a draft has no problems (`computed` in the schema). */
import type { Draft } from './draft.js'
import type { Config } from './schema.js'

/** The issuer of a Cognito user pool. */
export function cognitoIssuer({ region, userPoolId }: { region: string; userPoolId: string }) {
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
  return `https://cognito-idp.${region}.${suffix}/${userPoolId}`
}

/** The origin of the sign-in pages, from a prefix, a host name or an origin. */
export function cognitoOrigin({ region, domain }: { region: string; domain: string }): string {
  if (/^https?:/.test(domain)) return domain
  return domain.includes('.')
    ? `https://${domain}`
    : `https://${domain}.auth.${region}.amazoncognito.com`
}

/** Whether an issuer is one of Amazon Cognito. */
export const isCognitoIssuer = (issuer: string): boolean =>
  /^https:\/\/cognito-idp\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?\//.test(issuer)

/** A draft without problems as the configuration that the program uses. */
export function complete(draft: Draft<Config>): Config {
  // The reader has reported every required key that is missing, and the checks found no problem.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const config = draft as Config
  return { ...config, identity: completeIdentity(config), routes: completeRoutes(config) }
}

function completeIdentity({ identity }: Config): Config['identity'] {
  const { cognito, claims } = identity
  return {
    ...identity,
    cognito: cognito && { ...cognito, domain: cognitoOrigin(cognito) },
    issuer: identity.issuer ?? (cognito === undefined ? '' : cognitoIssuer(cognito)),
    claims: { ...claims, username: claims.username ?? defaultUsername(cognito !== undefined) },
    additionalIssuers: identity.additionalIssuers.map((other) => {
      const dialect = other.cognito ?? isCognitoIssuer(other.issuer)
      const username = other.claims.username ?? defaultUsername(dialect)
      return { ...other, cognito: dialect, claims: { ...other.claims, username } }
    }),
  }
}

const defaultUsername = (cognito: boolean): readonly string[] =>
  cognito ? ['cognito:username'] : ['sub']

function completeRoutes(config: Config): Config['routes'] {
  return config.routes.map((route) => {
    const limits = config.upstreams[route.upstream]?.timeouts
    const { firstByte, idle } = route.timeouts
    return {
      ...route,
      bodyLimit: route.bodyLimit ?? config.server.limits.body,
      timeouts: {
        firstByte: firstByte ?? limits?.firstByte ?? 0,
        idle: idle ?? limits?.idle ?? 0,
      },
      query: route.query && completeQuery(route.query),
    }
  })
}

/** A single value is a list of one; such a list has no other meaning. */
function completeQuery(
  query: NonNullable<Config['routes'][number]['query']>,
): Config['routes'][number]['query'] {
  const lists: Record<string, boolean | readonly string[]> = Object.create(null)
  for (const [name, value] of Object.entries(query)) {
    lists[name] = typeof value === 'string' ? [value] : value
  }
  return lists
}
