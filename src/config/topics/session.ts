/** `session`: the sessions of browsers. */
import { redisAddress } from '../../core/redis-address.js'
import { itemsOf } from '../draft.js'
import { choice, fixed, leaf, list, optional, shape, value } from '../key.js'
import type { Resolved } from '../key.js'
import { duration } from '../kinds/duration.js'
import { filePath } from '../kinds/file-path.js'
import { pem, secret, secretAddress } from '../kinds/secret.js'
import type { Rule, Topic } from '../topic.js'

const redis = shape(
  'The Redis or Valkey of `store: redis`. It also counts the rate limits and keeps the revocations, for all replicas.',
  {
    url: secretAddress(
      redisAddress,
      'Its address: `rediss://user:password@host:6379`, `rediss+sentinel://host:26379,host:26379/master` or `rediss+cluster://host:6379,host:6379`. A secret, since it holds one. User and password are those of an ACL.',
    ),
    authority: optional(
      pem('The certificate authority that signed the servers’ certificates, as PEM.'),
      'the authorities that the platform trusts',
    ),
  },
)

const session = shape('Browser sessions.', {
  secrets: list(secret('A secret of at least 32 bytes.', 32), {
    description:
      'What seals the cookies, at least 32 bytes each (`openssl rand -base64 48`). The first one seals, all of them open: put a new one first, and drop the old one after `maxAge`.',
    minItems: 1,
    maxItems: 8,
  }),
  store: fixed(
    choice(
      'Where sessions are: sealed in the cookie, with nothing else to run; or sealed in Redis (or Valkey), with a handle in the cookie.',
      ['cookie', 'redis'],
      'cookie',
    ),
  ),
  replicas: choice(
    'Whether there is more than one process. `many` needs Redis: else the renewal in one replica ends the session in another.',
    ['one', 'many'],
    'one',
  ),
  redis: optional(fixed(redis), 'no Redis'),
  revocationFile: optional(
    fixed(
      value(filePath, 'Keeps revocations over a restart (one process).', {
        needs: 'parent folder',
      }),
    ),
    'in memory only, or in Redis',
  ),
  idleTimeout: fixed(
    duration('A session that nobody uses ends after that.', '8h', { min: '1m', max: '400d' }),
    'with redis',
  ),
  maxAge: fixed(
    duration('Any session ends after that, counted from sign-in.', '7d', {
      min: '1m',
      max: '400d',
    }),
    'with redis',
  ),
  renewAt: leaf<number>({
    type: 'number',
    exclusiveMinimum: 0,
    exclusiveMaximum: 1,
    wanted: 'a number between 0 and 1',
    description:
      'A session is renewed when this part of the life of its tokens is over, give or take a little.',
    default: 0.75,
  }),
})

/** `session` of the configuration. */
export type SessionConfig = Resolved<typeof session>

/** What the rules of sessions look at. */
export interface SessionPart {
  readonly session: SessionConfig
}

const checkStore: Rule<SessionPart> = ({ session }, report, given) => {
  if (session?.store === 'redis' && !given(['session', 'redis'])) {
    report(['session', 'store'], 'redis without its address', 'session.redis.url')
  }
  if (session?.replicas === 'many' && session.store !== 'redis') {
    report(
      ['session', 'replicas'],
      'many, while sessions are in the cookie',
      'session.store: redis, since a renewal in one replica would end the session in another',
    )
  }
}

const checkLife: Rule<SessionPart> = ({ session }, report) => {
  const { idleTimeout, maxAge } = session ?? {}
  if (idleTimeout !== undefined && maxAge !== undefined && idleTimeout > maxAge) {
    report(['session', 'idleTimeout'], 'more than session.maxAge', 'at most session.maxAge')
  }
}

const checkSecrets: Rule<SessionPart> = ({ session }, report) => {
  const seen = new Set<string>()
  for (const [index, secret] of itemsOf(session?.secrets)) {
    if (seen.has(secret)) {
      const found = 'the same secret as another of session.secrets'
      report(['session', 'secrets', index], found, 'a secret of its own')
    }
    seen.add(secret)
  }
}

const warnOfCookieStore: Rule<SessionPart> = ({ session }, warn) => {
  if (session?.store !== 'cookie') return
  warn(
    ['session', 'store'],
    'cookie: right for one process',
    'redis for more than one: where the provider rotates refresh tokens, a renewal in one process ends the session in another, and each counts its own rate limits',
  )
}

const warnOfUnusedRedis: Rule<SessionPart> = ({ session }, warn, given) => {
  if (session?.store !== 'cookie' || !given(['session', 'redis'])) return
  warn(['session', 'redis'], 'a Redis that nothing uses', 'session.store: redis beside it')
}

const warnOfMemory: Rule<SessionPart> = ({ session }, warn) => {
  if (session?.store !== 'cookie' || session.revocationFile !== undefined) return
  warn(
    ['session', 'revocationFile'],
    'revocations in memory only',
    'a revocationFile: else a copied cookie or token of somebody who signed out works again after a restart, until it ends',
  )
}

const warnOfRevocationFile: Rule<SessionPart> = ({ session }, warn) => {
  if (session?.store !== 'redis' || session.revocationFile === undefined) return
  warn(
    ['session', 'revocationFile'],
    'a file beside Redis',
    'no file: Redis keeps the revocations, and the file is not read',
  )
}

/** The sessions of browsers. */
export const sessionTopic = {
  keys: { session },
  checks: [checkStore, checkLife, checkSecrets],
  warnings: {
    'cookie-store': warnOfCookieStore,
    'unused-redis': warnOfUnusedRedis,
    'revocations-in-memory': warnOfMemory,
    'unused-revocation-file': warnOfRevocationFile,
  },
} satisfies Topic<{ session: typeof session }, SessionPart>
