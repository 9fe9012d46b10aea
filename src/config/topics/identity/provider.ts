/** `identity`: the provider, its tokens and its keys. */
import { httpOrigin, isLoopback, parseUrl } from '../../../core/host.js'
import type { Draft } from '../../draft.js'
import {
  choice,
  computed,
  fixed,
  flag,
  leaf,
  list,
  optional,
  shape,
  text,
  value,
} from '../../key.js'
import type { Resolved } from '../../key.js'
import { duration } from '../../kinds/duration.js'
import { filePath } from '../../kinds/file-path.js'
import { issuerKind } from '../../kinds/issuer.js'
import { clientId, clientIdPattern, scope } from '../../kinds/names.js'
import { secret } from '../../kinds/secret.js'
import type { Path, Report } from '../../problems.js'
import type { Rule, Warnings } from '../../topic.js'

const cognito = shape('Amazon Cognito: its dialect, and where it is.', {
  region: text('The region of the user pool.', {
    pattern: '^[a-z]{2,}(-[a-z]+)+-[0-9]+$',
    wanted: 'a region such as us-east-2',
    examples: ['us-east-2'],
  }),
  userPoolId: text('The user pool.', {
    pattern: '^[a-z0-9-]+_[A-Za-z0-9]+$',
    wanted: 'a user pool id such as us-east-2_Example',
    examples: ['us-east-2_Example'],
  }),
  domain: text(
    'Where its sign-in pages are: the domain prefix, a host name, or an origin on loopback.',
    {
      wanted: 'a domain prefix, a host name, or an origin on loopback',
      pattern: `^(?:${httpOrigin}|[A-Za-z0-9.-]+)$`,
      examples: ['learntrac-auth', 'auth.example.edu'],
    },
  ),
})

/** Regions of Amazon; a newer one is no mistake. */
const regions = [
  ...['us-east-1', 'us-east-2', 'us-west-1', 'us-west-2', 'us-gov-east-1', 'us-gov-west-1'],
  ...['ca-central-1', 'ca-west-1', 'mx-central-1', 'sa-east-1', 'af-south-1', 'il-central-1'],
  ...['eu-central-1', 'eu-central-2', 'eu-north-1', 'eu-south-1', 'eu-south-2', 'eu-west-1'],
  ...['eu-west-2', 'eu-west-3', 'me-central-1', 'me-south-1', 'ap-east-1', 'ap-east-2'],
  ...['ap-northeast-1', 'ap-northeast-2', 'ap-northeast-3', 'ap-south-1', 'ap-south-2'],
  ...['ap-southeast-1', 'ap-southeast-2', 'ap-southeast-3', 'ap-southeast-4', 'ap-southeast-5'],
  ...['ap-southeast-7', 'cn-north-1', 'cn-northwest-1'],
]

const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const

const algorithm = leaf<(typeof algorithms)[number]>({
  type: 'string',
  enum: algorithms,
  wanted: `${algorithms.join(', ')}; never none or HMAC`,
  description: 'A signature algorithm.',
})

/** Who signs people in. */
export const providerKeys = {
  cognito: optional(cognito, 'any OpenID Connect provider, named by `identity.issuer`'),
  issuer: computed(
    fixed(
      value(
        issuerKind,
        'The issuer, exactly as its tokens spell it. Beside `cognito` it is for a look-alike, as in the demo. `http://` only on loopback, or on a host of `insecureHttpHosts`.',
        { examples: ['https://idp.example.edu/realms/trac'] },
      ),
    ),
    'found from `identity.cognito`',
  ),
  clientId: fixed(
    text('The client that people sign in with.', {
      pattern: clientIdPattern,
      wanted: 'a client id (text; in quotes if it is all digits)',
    }),
  ),
  clientSecret: optional(
    secret('The secret of that client.'),
    'a public client; PKCE protects the code with a secret and without',
  ),
  scopes: list(scope, {
    description:
      'What sign-in asks for. `openid` is needed; `email` and `profile` bring the address and the name.',
    default: ['openid', 'email', 'profile'],
    minItems: 1,
  }),
  acceptClients: list(clientId, {
    description: 'Further clients whose Bearer tokens count, such as an app or a command line.',
    default: [],
  }),
}

/** What its tokens must be. */
export const tokenKeys = {
  algorithms: list(algorithm, {
    description: 'Signature algorithms that are accepted: asymmetric ones only.',
    default: ['RS256'],
    minItems: 1,
  }),
  clockTolerance: duration('By how much the provider’s clock and ours may differ.', '30s', {
    min: '0s',
    max: '5m',
  }),
  keys: shape('The signing keys of the provider.', {
    maxAge: duration('They are fetched again after that, in the background.', '1h', { min: '1m' }),
    coolDown: duration(
      'For key ids that are not known there is one fetch in that time at most, so that forged tokens cannot flood the provider.',
      '30s',
      { min: '1s' },
    ),
    cacheFile: optional(
      value(
        filePath,
        'Keeps the keys over a restart, so that it can start with the provider down.',
        { needs: 'parent folder' },
      ),
      'in memory only',
    ),
  }),
}

/** What else is decided about tokens and the provider. */
export const trustKeys = {
  email: choice(
    'Which address Trac is told: a verified one, or any.',
    ['verified', 'any'],
    'verified',
  ),
  maxTokenLife: fixed(
    duration(
      'Tokens that live longer are refused, since revocations are remembered for that long.',
      '24h',
      { min: '1m', max: '30d' },
    ),
  ),
  publicRefresh: flag(
    'With a `clientSecret`: whether `POST /auth/refresh` takes a refresh token. Off, since it would redeem a stolen one for anybody.',
    false,
  ),
  insecureHttpHosts: list(
    text('A host name.', {
      pattern: '^[A-Za-z0-9.:-]+$',
      wanted: 'a host name without scheme or port',
    }),
    {
      description:
        'Hosts where a provider may be plain `http://`, such as one in a compose network.',
      default: [],
      examples: [['keycloak']],
    },
  ),
}

const provider = shape('', { ...providerKeys, ...tokenKeys, ...trustKeys })

/** What the rules of the provider look at. */
export interface ProviderPart {
  readonly identity: Resolved<typeof provider>
}

/** The issuer of a Cognito user pool. */
export function cognitoIssuer({ region, userPoolId }: { region: string; userPoolId: string }) {
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
  return `https://cognito-idp.${region}.${suffix}/${userPoolId}`
}

/** The issuer that people sign in with: as it is named, or that of the user pool; empty while neither can be read. */
export function mainIssuer(identity: Draft<ProviderPart['identity']> | undefined): string {
  const { region, userPoolId } = identity?.cognito ?? {}
  const isNamed = region !== undefined && userPoolId !== undefined
  return identity?.issuer ?? (isNamed ? cognitoIssuer({ region, userPoolId }) : '')
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

/** Reports an address of a provider that is reached in the clear over a network. */
export function checkIsPrivate(
  address: string | undefined,
  path: Path,
  identity: Draft<Pick<ProviderPart['identity'], 'insecureHttpHosts'>> | undefined,
  report: Report,
): void {
  const url = parseUrl(address ?? '')
  if (url?.protocol !== 'http:' || isLoopback(url.hostname)) return
  const named = (identity?.insecureHttpHosts ?? []).map((host) => host?.toLowerCase())
  if (named.includes(url.hostname)) return
  const wanted = 'https://; http:// only on loopback or a host of identity.insecureHttpHosts'
  report(path, `http:// on ${url.hostname}`, wanted)
}

const checkProvider: Rule<ProviderPart> = ({ identity }, report, given) => {
  if (!given(['identity', 'issuer']) && !given(['identity', 'cognito'])) {
    report(['identity'], 'no provider', 'identity.issuer, or identity.cognito')
  }
  checkIsPrivate(identity?.issuer, ['identity', 'issuer'], identity, report)
  checkIsPrivate(identity?.cognito?.domain, ['identity', 'cognito', 'domain'], identity, report)
}

const checkRegion: Rule<ProviderPart> = ({ identity }, report) => {
  const { region, userPoolId } = identity?.cognito ?? {}
  if (!region || !userPoolId || userPoolId.startsWith(`${region}_`)) return
  const named = userPoolId.slice(0, userPoolId.indexOf('_'))
  // A user pool's id is copied, a region is often typed: the one that Amazon does not have is the wrong one.
  if (!regions.includes(region) && regions.includes(named)) {
    report(['identity', 'cognito', 'region'], region, `${named}, as userPoolId begins`)
    return
  }
  report(
    ['identity', 'cognito', 'userPoolId'],
    `a user pool of ${named}, while region is ${region}`,
    `${region}_…; or region: ${named}`,
  )
}

/** Forms of issuers that are known to have no slash at their end. */
const withoutSlash = [
  /^https:\/\/cognito-idp\./,
  /\/realms\/[^/]+\/$/,
  /^https:\/\/accounts\.google\.com\//,
  /^https:\/\/login\.microsoftonline\.com\//,
  /^https:\/\/[a-z0-9-]+\.okta\.com\//,
]
/** Those that are known to have one. */
const withSlash = [/^https:\/\/[a-z0-9.-]+\.auth0\.com$/]

/** Warns of an issuer that tokens of such a provider spell otherwise: then no sign-in would succeed. */
export function warnOfSpelling(issuer: string | undefined, path: Path, warn: Report): void {
  if (issuer === undefined) return
  if (issuer.endsWith('/') && withoutSlash.some((form) => form.test(issuer))) {
    warn(path, 'a slash at the end', `${issuer.slice(0, -1)}, as tokens of such a provider say`)
  }
  if (withSlash.some((form) => form.test(issuer))) {
    warn(path, 'no slash at the end', `${issuer}/, as tokens of such a provider say`)
  }
}

const warnOfIssuer: Rule<ProviderPart> = ({ identity }, warn) =>
  warnOfSpelling(identity?.issuer, ['identity', 'issuer'], warn)

const checkScopes: Rule<ProviderPart> = ({ identity }, report) => {
  if (identity?.scopes && !identity.scopes.includes('openid')) {
    report(
      ['identity', 'scopes'],
      'no openid',
      'openid among the scopes: without it no ID token comes',
    )
  }
}

const warnOfDialect: Rule<ProviderPart> = ({ identity }, warn) => {
  if (identity?.cognito !== undefined || !isCognitoIssuer(identity?.issuer ?? '')) return
  warn(
    ['identity', 'issuer'],
    'a user pool of Amazon Cognito',
    'identity.cognito: its tokens need its dialect',
  )
}

const warnOfPublicRefresh: Rule<ProviderPart> = ({ identity }, warn) => {
  if (identity?.publicRefresh === true && identity.clientSecret === undefined) {
    warn(
      ['identity', 'publicRefresh'],
      'true for a public client',
      'no such key: for a public client it is on anyway',
    )
  }
}

/** What the provider's keys must not be. */
export const providerChecks: readonly Rule<ProviderPart>[] = [
  checkProvider,
  checkRegion,
  checkScopes,
]
/** What to think about in the provider's keys. */
export const providerWarnings = {
  'cognito-dialect': warnOfDialect,
  'issuer-spelling': warnOfIssuer,
  'public-refresh': warnOfPublicRefresh,
} satisfies Warnings<ProviderPart>
