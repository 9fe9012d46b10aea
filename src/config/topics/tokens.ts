/** `tokens`: personal tokens, which people make for their own programs. */
import { itemsOf } from '../draft.js'
import { count, fixed, optional, shape, value } from '../key.js'
import type { Resolved } from '../key.js'
import { duration } from '../kinds/duration.js'
import { filePath } from '../kinds/file-path.js'
import { ownerSeenKind } from '../kinds/owner-seen.js'
import type { Rule, Topic } from '../topic.js'
import type { RoutesPart } from './routes.js'
import type { SessionPart } from './session.js'
import type { UpstreamsPart } from './upstreams.js'

/** Tokens that one person can have at most, whatever is configured: a page shows them all. */
const maxPerUser = 100

const tokens = shape(
  'Personal tokens, which people make at `/auth/tokens` for their own programs. Without this key there are none.',
  {
    file: optional(
      fixed(
        value(filePath, 'Keeps them, each on disk before it is shown (one process).', {
          needs: 'parent folder',
          examples: ['/var/lib/trac-gateway/tokens'],
        }),
      ),
      'in Redis, with `session.store: redis`',
    ),
    defaultAge: duration('How long a token lives, if its owner does not choose.', '90d', {
      min: '1d',
      max: '3650d',
    }),
    maxAge: duration(
      'How long a token may live at most. Shortened, it ends tokens that are older.',
      '365d',
      { min: '1d', max: '3650d' },
    ),
    ownerSeen: value(
      ownerSeenKind,
      'A token counts while its owner has signed in, or their session was renewed, within this. `never`: whether the account is still open is not asked before the token ends.',
      { min: '1d', max: '3650d', default: '14d' },
    ),
    perUser: count('Tokens that one person can have, at most 100.', { default: 20 }),
  },
)

/** `tokens` of the configuration. */
export type TokensConfig = Resolved<typeof tokens>

/** What the rules of personal tokens look at. */
export interface TokensPart {
  readonly tokens: TokensConfig | undefined
}

const checkStore: Rule<TokensPart & SessionPart> = ({ tokens, session }, report) => {
  if (tokens === undefined || session?.store !== 'cookie' || tokens.file !== undefined) return
  report(['tokens'], 'no place where tokens are kept', 'tokens.file, or session.store: redis')
}

const checkNumbers: Rule<TokensPart> = ({ tokens }, report) => {
  const { defaultAge, maxAge, perUser } = tokens ?? {}
  if (defaultAge !== undefined && maxAge !== undefined && defaultAge > maxAge) {
    report(['tokens', 'defaultAge'], 'more than tokens.maxAge', 'at most tokens.maxAge')
  }
  if (perUser !== undefined && perUser > maxPerUser) {
    report(['tokens', 'perUser'], String(perUser), `at most ${maxPerUser}`)
  }
}

const checkRoutes: Rule<TokensPart & RoutesPart & UpstreamsPart> = (draft, report) => {
  const { tokens, routes, upstreams } = draft
  for (const [index, route] of itemsOf(routes)) {
    const { basic, credentials, legacyAuth, upstream = '' } = route
    if (basic === undefined) continue
    const at = ['routes', index, 'basic']
    if (tokens === undefined) {
      report(at, 'basic: token without personal tokens', 'tokens beside it, or no basic')
    }
    if (legacyAuth ?? upstreams?.[upstream]?.legacyAuth ?? false) {
      report(
        at,
        'basic: token with legacyAuth',
        'one of the two: a password is either a token for us or for Trac itself (legacyAuth: false here)',
      )
    }
    if (credentials !== undefined && !credentials.includes('token')) {
      report(at, `basic: token with credentials: [${credentials.join(', ')}]`, 'token among them')
    }
  }
}

const warnOfUnusedFile: Rule<TokensPart & SessionPart> = ({ tokens, session }, warn) => {
  if (session?.store !== 'redis' || tokens?.file === undefined) return
  warn(['tokens', 'file'], 'a file beside Redis', 'no file: Redis keeps the tokens')
}

const warnOfUnseenOwners: Rule<TokensPart> = ({ tokens }, warn) => {
  if (tokens?.ownerSeen !== 'never') return
  warn(
    ['tokens', 'ownerSeen'],
    'never: the token of somebody who has left works until it ends, with the groups of their last sign-in',
    'a duration such as 14d, or `trac-gateway revoke` whenever somebody leaves',
  )
}

const key = optional(tokens, 'no personal tokens')

/** Personal tokens. */
export const tokensTopic = {
  keys: { tokens: key },
  checks: [checkStore, checkNumbers, checkRoutes],
  warnings: {
    'unused-tokens-file': warnOfUnusedFile,
    'unseen-token-owners': warnOfUnseenOwners,
  },
} satisfies Topic<{ tokens: typeof key }, TokensPart & SessionPart & RoutesPart & UpstreamsPart>
