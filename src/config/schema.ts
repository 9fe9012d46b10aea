/** The one source of gateway.yaml: every key with its type, default, meaning and reason. */
import { Array as ListOf, Object as Shape, Unsafe } from 'typebox'
import type { Static, TObject, TProperties, TSchema, TUnsafe } from 'typebox'
import type { Milliseconds } from '../core/clock.js'
import { trustedPeer } from '../core/network.js'
import { publicUrl } from '../core/public-url.js'
import { redisAddress } from '../core/redis-address.js'
import type { TextKind } from '../core/text-kind.js'
import { upstreamAddress } from '../core/upstream-address.js'
import { actionPattern } from '../trac/permissions.js'
import { durationKind } from './kinds/duration.js'
import { filePath } from './kinds/file-path.js'
import { issuerKind } from './kinds/issuer.js'
import { listenAddress } from './kinds/listen-address.js'
import type { Address } from './kinds/listen-address.js'
import { pathPattern } from './kinds/path-pattern.js'
import { sizeKind } from './kinds/size.js'
import type { Bytes } from './kinds/size.js'

/**
 * One key as the loader, the reference and the editors' schema read it: JSON Schema plus what JSON
 * Schema cannot say. `absent` and `computed` tell in words what holds when the key is left out.
 */
export interface KeySchema {
  readonly type?: 'object' | 'array' | 'string' | 'boolean' | 'integer' | 'number'
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly enum?: readonly (string | boolean)[]
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: KeySchema
  readonly anyOf?: readonly KeySchema[]
  readonly properties?: Readonly<Record<string, KeySchema>>
  readonly additionalProperties?: boolean | KeySchema
  readonly propertyNames?: { readonly pattern: string }
  /** How a text becomes its value; without a kind it is taken as it stands. */
  readonly kind?: TextKind<unknown>
  /** Where a secret's text goes: alone, or with the file that it came from. */
  readonly secret?: 'text' | 'pem'
  /** What a problem report says was wanted. */
  readonly wanted?: string
  /** The least and most of a span or size allowed, written as in the file. */
  readonly least?: string
  readonly most?: string
  /** Fewest bytes of a secret. */
  readonly minBytes?: number
  /** What the keys of a record are, for the table: `<client id>`. */
  readonly keyName?: string
  readonly absent?: string
  readonly computed?: string
}

/** A PEM text, and the file it came from, so that it can be read again when that changes. */
export interface Pem {
  readonly path: string | undefined
  readonly value: string
}

type Doc = Pick<KeySchema, 'description' | 'default' | 'examples' | 'wanted'>
type LeafOptions = Omit<KeySchema, 'description' | 'type' | 'items' | 'properties'>

function leaf<T>(schema: KeySchema): TUnsafe<T> {
  return Unsafe<T>({ ...schema })
}

/** A schema as the plain data that it is. */
const keyOf = (schema: TSchema): KeySchema => schema

const text = (description: string, options: LeafOptions = {}): TUnsafe<string> =>
  leaf({ type: 'string', wanted: 'text', minLength: 1, description, ...options })

/** A text of a kind. */
const value = <T>(kind: TextKind<T>, description: string, options: LeafOptions = {}): TUnsafe<T> =>
  leaf({
    type: 'string',
    kind,
    pattern: kind.pattern,
    wanted: kind.wanted,
    description,
    ...options,
  })

const flag = (description: string, value?: boolean): TUnsafe<boolean> =>
  leaf({
    type: 'boolean',
    wanted: 'true or false',
    description,
    ...(value === undefined ? {} : { default: value }),
  })

const count = (description: string, options: LeafOptions = {}): TUnsafe<number> =>
  leaf({ type: 'integer', minimum: 1, wanted: 'a whole number from 1', description, ...options })

const choice = <T extends string>(
  description: string,
  values: readonly T[],
  value?: T,
): TUnsafe<T> =>
  leaf({
    type: 'string',
    enum: values,
    wanted: values.join(', '),
    description,
    ...(value === undefined ? {} : { default: value }),
  })

/** The longest wait a timer of Node can hold, rounded down to days. */
const maxTimer = '24d'

const span = (
  description: string,
  text?: string,
  limits: { least?: string; most?: string } = {},
): TUnsafe<Milliseconds> =>
  value(durationKind, description, {
    least: limits.least ?? '1ms',
    most: limits.most ?? maxTimer,
    ...(text === undefined ? {} : { default: text }),
  })

const size = (
  description: string,
  text?: string,
  limits: { least?: string; most?: string } = {},
): TUnsafe<Bytes> =>
  value(sizeKind, description, { ...limits, ...(text === undefined ? {} : { default: text }) })

const path = (description: string, options: LeafOptions = {}): TUnsafe<string> =>
  value(filePath, description, options)

const fromSomewhere: readonly KeySchema[] = ['fromEnv', 'fromFile'].map((key) => ({
  type: 'object',
  properties: { [key]: { type: 'string', minLength: 1 } },
  required: [key],
  additionalProperties: false,
}))

const secret = (description: string, minBytes = 1): TUnsafe<string> =>
  leaf({
    secret: 'text',
    anyOf: fromSomewhere,
    minBytes,
    wanted: '{ fromEnv: NAME } or { fromFile: path }',
    description,
  })

const secretAddress = <T>(kind: TextKind<T>, description: string): TUnsafe<T> =>
  leaf({ ...keyOf(secret(description)), kind })

const pem = (description: string): TUnsafe<Pem> =>
  leaf({ ...keyOf(secret(description)), secret: 'pem' })

const address = (description: string, text: string): TUnsafe<Address> =>
  value(listenAddress, description, {
    default: text,
    examples: [text, 'unix:/run/trac-gateway.sock'],
  })

const list = <T extends TSchema>(item: T, doc: Doc & { minItems?: number; maxItems?: number }) =>
  ListOf(item, { wanted: 'a list', ...doc })

const shape = <T extends TProperties>(description: string, properties: T): TObject<T> =>
  Shape(properties, { additionalProperties: false, wanted: 'keys and values', description })

const record = <T extends TSchema>(
  keyName: string,
  value: T,
  options: Doc & { propertyNames?: { pattern: string } },
): TUnsafe<Readonly<Record<string, Static<T>>>> =>
  leaf({
    type: 'object',
    wanted: 'keys and values',
    keyName,
    additionalProperties: keyOf(value),
    ...options,
  })

/** A key that may be left out; `absent` says what that means. */
const optional = <T extends TSchema>(schema: T, absent: string): TUnsafe<Static<T> | undefined> =>
  leaf({ ...keyOf(schema), absent })

/** A key whose default follows from others; `computed` says how. */
const computed = <T extends TSchema>(schema: T, rule: string): TUnsafe<Static<T>> =>
  leaf({ ...keyOf(schema), computed: rule })

const action = text('A Trac action, or one that a plugin adds.', {
  pattern: actionPattern,
  wanted: 'a permission in capitals, such as WIKI_VIEW',
})
const groupPattern = '^[^\\s\\p{C}](?:[^\\p{C}\\p{Zl}\\p{Zp}]*[^\\s\\p{C}])?$'

const group = text('A group as the provider names it.', {
  maxLength: 255,
  pattern: groupPattern,
  wanted: 'a group name without control characters or white space at its ends',
})
const claim = text('A claim of the token.', { wanted: 'the name of a claim' })
const clientId = text('A client id.', {
  pattern: '^[\\x21-\\x7e]+$',
  wanted: 'a client id (text; in quotes if it is all digits)',
})
const scope = text('An OAuth scope.', {
  pattern: '^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$',
  wanted: 'a scope without white space or quotes',
})

const server = shape('The public side.', {
  publicUrl: value(
    publicUrl,
    'What browsers see: origin and base path. Cookies, redirects and the Host check follow from it. `https://`, unless the host is loopback.',
    { examples: ['https://trac.example.edu/trac'] },
  ),
  listen: address('Where to listen: `host:port` or `unix:/path`.', '0.0.0.0:8080'),
  tls: optional(
    shape('Certificate and key of our own; read again when their files change.', {
      certificate: pem('The certificate chain as PEM.'),
      key: pem('Its private key as PEM.'),
    }),
    'TLS ends in front, at one of `trustedProxies`',
  ),
  trustedProxies: list(value(trustedPeer, 'A network or `unix`.'), {
    description:
      'Peers whose `X-Forwarded-*` count: CIDRs, and `unix` for a Unix socket. Default nobody, since any client can write these headers.',
    default: [],
    examples: [['10.0.0.0/8', 'unix']],
  }),
  limits: shape('Sizes beyond which a request is refused.', {
    header: size('All request headers together; beyond it 431.', '32KiB', {
      least: '1KiB',
      most: '1MiB',
    }),
    target: size('The request target sent on; beyond it 400.', '4000B', {
      least: '256B',
      most: '64KiB',
    }),
    body: size('A request body, where a route says nothing else; beyond it 413.', '10MiB'),
    spool: size(
      'All chunked bodies that wait on disk together; beyond it 503, so that uploads cannot fill the disk.',
      '1GiB',
    ),
  }),
  timeouts: shape('Limits against clients that hold connections.', {
    headers: span('Until the headers have arrived.', '15s', { least: '1s' }),
    bodyIdle: span('Without a byte of the body.', '30s', { least: '1s' }),
    bodyMinimumRate: size(
      'Fewest bytes of a body per second, after the first 30 s; the total time has no limit, so that slow lines can upload.',
      '1KiB',
    ),
    keepAlive: span(
      'An idle connection is kept; longer than the 60 s of usual balancers, so that they close first.',
      '75s',
    ),
    shutdown: span('For running requests to finish when the process stops.', '30s'),
  }),
  spoolDirectory: path('Where chunked bodies over 1 MiB wait, in files that have no name.', {
    default: '/tmp',
  }),
  forwardAuth: optional(
    choice('The dialect of the front proxy that asks `/auth/verify`.', [
      'nginx',
      'traefik',
      'caddy',
      'envoy',
    ]),
    '`/auth/verify` is off',
  ),
})

const admin = shape('The listener for probes and metrics; never public.', {
  listen: address(
    'Where `/metrics`, `/healthz`, `/readyz` and `/revoke` answer. Loopback, since they ask nobody who they are.',
    '127.0.0.1:9464',
  ),
  token: optional(
    secret('Bearer token for `POST /revoke`; at least 16 bytes.', 16),
    '`POST /revoke` is off',
  ),
})

const claims = {
  username: computed(
    list(claim, {
      description:
        'Where the user name comes from; the first claim present is taken. Only claims that people cannot change themselves.',
      minItems: 1,
      examples: [['cognito:username'], ['sub']],
    }),
    '`[cognito:username]` with Cognito, else `[sub]`',
  ),
  groups: list(claim, {
    description: 'Claims with groups; the union of all present.',
    default: ['cognito:groups', 'groups'],
  }),
  email: list(claim, {
    description: 'Claims with the e-mail address; the first present.',
    default: ['email'],
  }),
  name: list(claim, {
    description: 'Claims with the full name; the first present.',
    default: ['name'],
  }),
}

const additionalIssuer = shape('A further provider.', {
  issuer: value(issuerKind, 'The issuer, exactly as its tokens spell it.'),
  clients: list(clientId, {
    description: 'Client ids whose tokens count; at least one, so that no audience goes unchecked.',
    minItems: 1,
  }),
  prefix: text(
    'Stands before every user name from there, so that it can never meet a name of the main issuer.',
    {
      pattern: '^[A-Za-z0-9._~-]{1,32}[.:/@_~-]$',
      wanted: 'a short prefix that ends in one of . : / @ _ ~ -, such as partner/',
      examples: ['partner/'],
    },
  ),
  cognito: computed(
    flag('Whether it speaks the Cognito dialect (`token_use`, no `aud` in access tokens).'),
    'true for an issuer of Amazon Cognito',
  ),
  claims: shape('Where its tokens say who somebody is; they never give permissions.', claims),
  groups: record('group', list(action, { description: 'Its actions.' }), {
    description: 'What its groups may do; `permissions.groups` does not count for them.',
    default: {},
    examples: [{ partners: ['WIKI_VIEW', 'TICKET_VIEW'] }],
    propertyNames: { pattern: groupPattern },
  }),
})

const machine = shape('A client-credentials client.', {
  username: text('Its Trac user name; reserved for it.', {
    wanted: 'a user name',
    examples: ['ci-bot'],
  }),
  groups: list(group, { description: 'Groups it is in.', default: [] }),
  scopes: list(scope, { description: 'Scopes that its token must bring.', default: [] }),
})

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

const identity = shape('Who may be who: the provider and its tokens.', {
  cognito: optional(
    shape('Amazon Cognito: turns its dialect on and finds the issuer.', {
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
          pattern: '^(https?://[^\\s/?#]+|[A-Za-z0-9.-]+)$',
          examples: ['learntrac-auth', 'auth.example.edu'],
        },
      ),
    }),
    'any OpenID Connect provider, named by `identity.issuer`',
  ),
  issuer: computed(
    value(
      issuerKind,
      'The provider, exactly as its tokens spell it. `http://` only on loopback or a host of `insecureHttpHosts`. Beside `cognito` it says where the look-alike is.',
      { examples: ['https://idp.example.edu/realms/trac'] },
    ),
    'from `identity.cognito`',
  ),
  clientId: text('The client that people sign in with.', {
    pattern: '^[\\x21-\\x7e]+$',
    wanted: 'a client id (text; in quotes if it is all digits)',
  }),
  clientSecret: optional(secret('Its secret.'), 'a public client: PKCE alone protects the code'),
  scopes: list(scope, {
    description: 'What sign-in asks for; `openid` is needed.',
    default: ['openid', 'email', 'profile'],
    minItems: 1,
  }),
  acceptClients: list(clientId, {
    description: 'Further client ids whose Bearer tokens count.',
    default: [],
  }),
  additionalIssuers: list(additionalIssuer, {
    description: 'Further providers, for Bearer tokens only.',
    default: [],
  }),
  machines: record('client id', machine, {
    description: 'Machine clients that may come; one that is not listed is refused.',
    default: {},
    propertyNames: { pattern: '^[\\x21-\\x7e]+$' },
  }),
  algorithms: list(algorithm, {
    description: 'Signature algorithms accepted; never `none`, never HMAC.',
    default: ['RS256'],
    minItems: 1,
  }),
  clockTolerance: span('By how much clocks may differ.', '30s', { least: '0s', most: '5m' }),
  keys: shape('The signing keys of the provider.', {
    maxAge: span('Until they are fetched again, in the background.', '1h', { least: '1m' }),
    coolDown: span(
      'At most one fetch in this time for key ids not known, so that forged tokens cannot flood the provider.',
      '30s',
      { least: '1s' },
    ),
    cacheFile: optional(
      path('Keeps the keys over a restart, so that it can start with the provider down.'),
      'in memory only',
    ),
  }),
  claims: shape('Which claims say what.', {
    ...claims,
    permissions: list(claim, {
      description:
        'Claims that add permissions, within `permissions.fromClaims`; from the main issuer only.',
      default: ['trac_permissions'],
    }),
  }),
  username: shape('From the claim to the Trac user name.', {
    aliases: record('sub', text('The Trac user name.', { wanted: 'a user name' }), {
      description:
        'Names for single people, by `sub` of the main issuer or `issuer#sub`; each name is then reserved.',
      default: {},
      examples: [{ '6f0c2a31-0f5e-4f0e-9f57-0d5e8b6f2c11': 'alice' }],
    }),
    emailLocalPart: leaf<string | false>({
      anyOf: [
        { type: 'boolean', enum: [false] },
        {
          type: 'string',
          pattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)+$',
          wanted: 'a domain such as example.edu, or false',
        },
      ],
      wanted: 'a domain such as example.edu, or false',
      description:
        'A domain: people are named by the local part of their verified address there, and everyone else is refused.',
      default: false,
      examples: ['example.edu'],
    }),
    case: choice(
      'Whether names are kept or put in lower case (then ASCII names only).',
      ['keep', 'lower'],
      'keep',
    ),
    userinfo: choice(
      'Whether the provider is asked when an access token lacks the claim for the name.',
      ['auto', 'never'],
      'auto',
    ),
  }),
  email: choice(
    'Which address Trac is told: a verified one, or any.',
    ['verified', 'any'],
    'verified',
  ),
  maxTokenLife: span(
    'Tokens that live longer are refused, and revocations are kept for that long.',
    '24h',
    { least: '1m', most: '30d' },
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
      description: 'Hosts where a provider may be plain `http://` (a compose network).',
      default: [],
      examples: [['keycloak']],
    },
  ),
})

const session = shape('Browser sessions.', {
  secrets: list(secret('A secret of at least 32 bytes.', 32), {
    description:
      'What seals the cookies; at least 32 bytes each. The first seals, all open: put a new one first, drop the old one after `maxAge`.',
    minItems: 1,
    maxItems: 8,
  }),
  store: choice(
    'Where sessions are: sealed in the cookie, or sealed in Redis (or Valkey) behind a handle in the cookie.',
    ['cookie', 'redis'],
    'cookie',
  ),
  replicas: choice(
    'Whether more than one process serves; `many` needs Redis.',
    ['one', 'many'],
    'one',
  ),
  redis: optional(
    shape(
      'The Redis or Valkey of that store. It also counts the rate limits and keeps the revocations for all replicas.',
      {
        url: secretAddress(
          redisAddress,
          'Its address, such as `rediss://user:password@host:6379`, `rediss+sentinel://host:26379,host:26379/master` or `rediss+cluster://host:6379,host:6379`; a secret, as it holds one. User and password are those of an ACL.',
        ),
        authority: optional(
          pem('The certificate authority that signed the servers’ certificates, as PEM.'),
          'the authorities that the platform trusts',
        ),
      },
    ),
    'no Redis',
  ),
  revocationFile: optional(
    path('Keeps revocations over a restart (one process).'),
    'in memory only, or in Redis',
  ),
  idleTimeout: span('A session unused for this long ends.', '8h', { least: '1m', most: '400d' }),
  maxAge: span('The longest life of a session, from sign-in.', '7d', {
    least: '1m',
    most: '400d',
  }),
  renewAt: leaf<number>({
    type: 'number',
    exclusiveMinimum: 0,
    exclusiveMaximum: 1,
    wanted: 'a number between 0 and 1',
    description: 'Renewed at this part of the life of its tokens, with jitter.',
    default: 0.75,
  }),
})

/** What the seed of LearnTrac grants, completed by ROADMAP_VIEW so that Trac's pages work. */
export const defaultGroups: Readonly<Record<string, readonly string[]>> = {
  admins: ['TRAC_ADMIN'],
  instructors: [
    'TICKET_CREATE',
    'TICKET_MODIFY',
    'TICKET_VIEW',
    'MILESTONE_CREATE',
    'MILESTONE_MODIFY',
    'MILESTONE_VIEW',
    'WIKI_CREATE',
    'WIKI_MODIFY',
    'WIKI_VIEW',
    'CHANGESET_VIEW',
    'TIMELINE_VIEW',
    'SEARCH_VIEW',
    'REPORT_CREATE',
    'REPORT_MODIFY',
    'REPORT_VIEW',
    'ROADMAP_VIEW',
  ],
  students: [
    'TICKET_CREATE',
    'TICKET_VIEW',
    'MILESTONE_VIEW',
    'WIKI_VIEW',
    'CHANGESET_VIEW',
    'TIMELINE_VIEW',
    'SEARCH_VIEW',
    'REPORT_VIEW',
    'ROADMAP_VIEW',
  ],
}

const permissions = shape('Who may do what in Trac.', {
  groups: record('group', list(action, { description: 'Its actions.' }), {
    description: 'What each group may do. Given at all, it replaces the default as a whole.',
    default: defaultGroups,
    propertyNames: { pattern: groupPattern },
  }),
  authenticated: list(action, {
    description: 'What everybody who is signed in may do besides.',
    default: [],
  }),
  anonymous: list(action, {
    description: 'What everybody may do, signed in or not.',
    default: [],
  }),
  fromClaims: leaf<'nonAdmin' | 'all' | 'none' | readonly string[]>({
    anyOf: [
      {
        type: 'string',
        enum: ['nonAdmin', 'all', 'none'],
        wanted: 'nonAdmin, all, none, or a list',
      },
      { type: 'array', items: keyOf(action) },
    ],
    wanted: 'nonAdmin, all, none, or a list of permissions',
    description:
      'Which permissions a claim may add; `nonAdmin` is all but TRAC_ADMIN, *_ADMIN and PERMISSION_*, so that no token makes an administrator.',
    default: 'nonAdmin',
  }),
})

const upstream = shape('An application behind the gateway.', {
  url: value(upstreamAddress, 'Its origin, without path: `http://`, `https://` or `unix:/path`.', {
    examples: ['http://127.0.0.1:8000', 'unix:/run/trac.sock'],
  }),
  signingKeys: list(
    shape('A key shared with this upstream alone.', {
      id: text('Its name in the signature and in the key file.', {
        pattern: '^[A-Za-z0-9_-]{1,32}$',
        wanted: 'up to 32 letters, digits, _ or -',
      }),
      secret: secret('At least 32 bytes.', 32),
    }),
    {
      description:
        'Keys that sign who a request is from; the first signs, two while they change. Without one this upstream gets no signature, and the bridge in Trac refuses all.',
      default: [],
      maxItems: 2,
    },
  ),
  timeouts: shape('Limits for this upstream.', {
    connect: span('To connect.', '2s'),
    firstByte: span('From the request to the first byte of the answer.', '60s'),
    idle: span('Between two bytes of the answer.', '60s'),
  }),
  insecureHttp: flag(
    'Plain `http://` to a host that is not loopback, where anybody on the way can read and write.',
    false,
  ),
  forwardAccessToken: flag(
    'Whether it gets the access token in `Authorization` (an API that checks it itself).',
    false,
  ),
})

const methods = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'PROPFIND',
  'PROPPATCH',
  'MKCOL',
  'COPY',
  'MOVE',
  'LOCK',
  'UNLOCK',
  'REPORT',
  'SEARCH',
] as const

/** A method that a route can name. */
export type Method = (typeof methods)[number]

const route = shape('One rule.', {
  name: text('Its name in logs and metrics; unique, not `none`, not `trac:…`.', {
    maxLength: 64,
    pattern: '^[A-Za-z0-9][A-Za-z0-9._:-]*$',
    wanted: 'a short name of letters, digits, . _ : or -',
  }),
  path: value(
    pathPattern,
    'Below the base path: `*` is one segment or part of one, `**` any number of segments.',
    { examples: ['/api/**', '/ticket/*'] },
  ),
  methods: optional(
    list(choice('A method.', methods), {
      description: 'Methods it matches; GET implies HEAD.',
      minItems: 1,
    }),
    'every method',
  ),
  query: optional(
    record(
      'parameter',
      leaf<boolean | readonly string[]>({
        anyOf: [
          { type: 'boolean' },
          { type: 'string', wanted: 'text' },
          { type: 'array', minItems: 1, items: { type: 'string', wanted: 'text' } },
        ],
        wanted: 'a value, a list of values, true (present) or false (absent)',
        description: 'A value, one of a list, `true` (present) or `false` (absent).',
      }),
      {
        description:
          'Query parameters that must hold, all of them; such a route matches only GET and HEAD, since for POST Trac reads the body.',
        examples: [{ action: 'edit' }],
      },
    ),
    'any query',
  ),
  upstream: text('Which of `upstreams` gets it.', {
    default: 'trac',
    wanted: 'a name of upstreams',
  }),
  credentials: list(choice('A kind of credential.', ['bearer', 'session']), {
    description: 'Kinds of credential it accepts; `[bearer]` for an API that only programs call.',
    default: ['bearer', 'session'],
    minItems: 1,
  }),
  access: choice(
    'Whether one must be signed in; `optional` welcomes anonymous visitors, `deny` closes it.',
    ['public', 'optional', 'authenticated', 'deny'],
    'authenticated',
  ),
  require: optional(
    shape('What somebody must bring besides; all that is given must hold.', {
      anyPermission: optional(
        list(action, { description: 'One of these permissions.', minItems: 1 }),
        'not asked',
      ),
      allPermissions: optional(
        list(action, { description: 'All of these permissions.', minItems: 1 }),
        'not asked',
      ),
      anyGroup: optional(
        list(group, { description: 'One of these groups.', minItems: 1 }),
        'not asked',
      ),
      scopes: optional(
        list(scope, {
          description: 'All of these scopes (ID tokens have none).',
          minItems: 1,
        }),
        'not asked',
      ),
    }),
    'nothing besides `access`',
  ),
  mode: optional(
    choice('`shadow`: counted and logged, but let pass.', ['enforce', 'shadow']),
    'the `mode` of the gateway',
  ),
  rateLimit: optional(
    shape('How often.', {
      max: count('Requests in a period.'),
      per: span('The period.', '1m', { least: '1s', most: '1d' }),
      by: choice(
        'Counted per principal (person or machine) or per client address.',
        ['principal', 'address'],
        'principal',
      ),
    }),
    'not limited',
  ),
  bodyLimit: computed(size('The largest request body.'), '`server.limits.body`'),
  timeouts: shape('Limits other than those of the upstream.', {
    firstByte: computed(span('To the first byte of the answer.'), 'that of the upstream'),
    idle: computed(span('Between two bytes of the answer.'), 'that of the upstream'),
  }),
  websocket: flag('Whether WebSocket connections are let through.', false),
})

const rate = (description: string, max: number) =>
  shape(description, {
    max: count('Requests in a period.', { default: max }),
    per: span('The period.', '1m', { least: '1s', most: '1d' }),
  })

/** The whole file. Its plain form is {@link KeySchema}, its type {@link Config}. */
export const configSchema = shape('The configuration of trac-gateway.', {
  server,
  admin,
  identity,
  session,
  permissions,
  upstreams: record('name', upstream, {
    description: 'The applications behind; `trac` is needed.',
    propertyNames: { pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' },
    wanted: 'upstreams by name, trac among them',
  }),
  mode: choice(
    '`shadow`: the whole policy is counted and logged, but lets pass (for the roll-out).',
    ['enforce', 'shadow'],
    'enforce',
  ),
  routes: list(route, {
    description:
      'Rules of your own; the first match wins, then the built-in ones, then 404. Paths are below the base path.',
    default: [],
  }),
  builtinTracRoutes: flag(
    'Whether the built-in rules for Trac stand behind your own (`trac-gateway routes` prints them).',
    true,
  ),
  rateLimit: shape('Limits of our own endpoints.', {
    auth: rate(
      'Sign-in, callback and JSON refresh, per client address (IPv6: per /64); high enough for a class behind one address.',
      600,
    ),
    failures: rate('Failures, per browser or refresh token.', 20),
  }),
  log: shape('The log: JSON lines on standard output.', {
    level: choice(
      'From which level.',
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'info',
    ),
    audit: flag('Whether each decision is one more line.', true),
  }),
})

/** {@link configSchema} as plain data, for whoever walks it. */
export const configKeys: KeySchema = keyOf(configSchema)

type DeepReadonly<T> = T extends readonly (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T

/**
 * The resolved configuration: spans in milliseconds, sizes in bytes, secrets as their text, paths
 * absolute, every default filled in, frozen. Records have no prototype, so any key can be looked up.
 */
export type Config = DeepReadonly<Static<typeof configSchema>>
/** `server` of the configuration. */
export type ServerConfig = Config['server']
/** `identity` of the configuration. `issuer` and `cognito.domain` (an origin) are resolved. */
export type IdentityConfig = Config['identity']
/** One of `identity.additionalIssuers`. */
export type AdditionalIssuer = IdentityConfig['additionalIssuers'][number]
/** One of `identity.machines`. */
export type Machine = IdentityConfig['machines'][string]
/** `session` of the configuration. */
export type SessionConfig = Config['session']
/** `permissions` of the configuration. */
export type PermissionsConfig = Config['permissions']
/** One of `upstreams`. */
export type UpstreamConfig = Config['upstreams'][string]
/** One of `routes`. A `query` value is a list, `true` (present) or `false` (absent). */
export type RouteConfig = Config['routes'][number]
/** `mode` of the gateway and of a route. */
export type Mode = Config['mode']
