/** `upstreams`: the applications behind the gateway. */
import { isLoopback } from '../../core/host.js'
import { upstreamAddress } from '../../core/upstream-address.js'
import type { TcpAddress, UpstreamAddress } from '../../core/upstream-address.js'
import { entriesOf, itemsOf } from '../draft.js'
import type { Draft } from '../draft.js'
import { choice, count, flag, list, record, shape, text, value } from '../key.js'
import type { Resolved } from '../key.js'
import { duration } from '../kinds/duration.js'
import { secret } from '../kinds/secret.js'
import type { Rule, Topic } from '../topic.js'
import type { SessionPart } from './session.js'

const signingKey = shape('A key shared with this upstream alone.', {
  id: text('Its name in the signature and in the bridge’s key file.', {
    pattern: '^[A-Za-z0-9_-]{1,32}$',
    wanted: 'up to 32 letters, digits, _ or -',
  }),
  secret: secret('At least 32 bytes, shared with this upstream alone.', 32),
})

const upstream = shape('An application behind the gateway.', {
  url: value(
    upstreamAddress,
    'Its origin without path: `http://`, `https://` or `unix:/path`. The base path goes on unchanged.',
    { examples: ['http://127.0.0.1:8000', 'unix:/run/trac.sock'] },
  ),
  signingKeys: list(signingKey, {
    description:
      'Keys that sign who a request is from. The first one signs; two stand here while they change. Without one this upstream gets no signature, and the bridge in Trac refuses every request.',
    default: [],
    maxItems: 2,
  }),
  signature: choice(
    'What is signed. `v2` also tells the groups of somebody and how they came (`X-Trac-Groups`, `X-Trac-Kind`). Choose it for `trac` once Trac’s plugin is 0.4 or later: it then knows the rights of people who are not making the request. An older plugin may refuse it, so `v1` is the default.',
    ['v1', 'v2'],
    'v1',
  ),
  timeouts: shape('Limits for this upstream.', {
    connect: duration('To connect.', '2s'),
    firstByte: duration(
      'From the request to the first byte of the answer. Trac’s slow reports and queries count here.',
      '60s',
    ),
    idle: duration('Between two bytes of the answer.', '60s'),
  }),
  maxConnections: count(
    'Requests that it gets at the same time. One client address (IPv6 by /64), and one person or machine, has at most a quarter of them. Up to 1,000 more wait for `server.timeouts.queue`; beyond it: 503.',
    { default: 64 },
  ),
  maxTunnels: count(
    'WebSockets and event streams at the same time, which do not count above. Likewise at most a quarter for one.',
    { default: 1000 },
  ),
  client: choice(
    'Who reads the answers to GETs without a body over plain HTTP. `own` is quicker and strict: it refuses an answer that is not well-formed HTTP/1.1, with 502 and `ERR_UPSTREAM_ANSWER`. Choose `undici`, the library that handles all other requests, for a server whose answers are refused though a browser shows them.',
    ['own', 'undici'],
    'own',
  ),
  insecureHttp: flag(
    'Whether plain `http://` may go to another machine, where anybody in between can read and write.',
    false,
  ),
  legacyAuth: flag(
    'For the time of a move: whether HTTP Basic and Trac’s own cookie `trac_auth` go through to it, with no identity of ours, so that it judges such a request by itself as before. No rule protects it from whoever brings one of them, but `access: deny`. For `trac`, `/login` and `/logout` are Trac’s then.',
    false,
  ),
  forwardAccessToken: flag(
    'Whether it gets the access token in `Authorization`, for an API that checks it by itself.',
    false,
  ),
})

const upstreams = record('name', upstream, {
  description: 'The applications behind the gateway. One of them is `trac`.',
  propertyNames: { pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' },
  wanted: 'upstreams by name, trac among them',
})

/** One of `upstreams`. */
export type UpstreamConfig = Resolved<typeof upstream>

/** What the rules of upstreams look at. */
export interface UpstreamsPart {
  readonly upstreams: Readonly<Record<string, UpstreamConfig>>
}

const checkTrac: Rule<UpstreamsPart> = ({ upstreams }, report, given) => {
  if (upstreams !== undefined && given(['upstreams']) && !('trac' in upstreams)) {
    report(['upstreams'], Object.keys(upstreams).join(', ') || 'no upstream', 'one named trac')
  }
}

/** Whether requests go there in the clear, over a network. */
function isPlainHttp(url: Draft<UpstreamAddress> | undefined): url is TcpAddress {
  return url?.kind === 'tcp' && url.tls === false && !isLoopback(url.host ?? '')
}

const checkScheme: Rule<UpstreamsPart> = ({ upstreams }, report) => {
  for (const [name, { url, insecureHttp }] of entriesOf(upstreams)) {
    if (!isPlainHttp(url) || insecureHttp !== false) continue
    report(
      ['upstreams', name, 'url'],
      `http:// on ${url.host}`,
      'https://, loopback or a Unix socket; or insecureHttp: true if nobody can listen there',
    )
  }
}

const checkKeys: Rule<UpstreamsPart & SessionPart> = ({ upstreams, session }, report) => {
  const owners = new Map(
    itemsOf(session?.secrets).map(([, secret]) => [secret, 'another of session.secrets']),
  )
  for (const [name, { signingKeys }] of entriesOf(upstreams)) {
    const ids = new Set<string>()
    for (const [index, { id, secret }] of itemsOf(signingKeys)) {
      const path = ['upstreams', name, 'signingKeys', index]
      const owner = owners.get(secret ?? '')
      if (owner !== undefined) {
        report([...path, 'secret'], `the same secret as ${owner}`, 'a secret of its own')
      }
      if (secret !== undefined) owners.set(secret, `another of upstreams.${name}`)
      if (id === undefined) continue
      if (ids.has(id)) report([...path, 'id'], `${id} a second time`, 'an id of its own')
      ids.add(id)
    }
  }
}

const warnOfNoSignature: Rule<UpstreamsPart> = ({ upstreams }, warn) => {
  if (upstreams?.['trac']?.signingKeys?.length !== 0) return
  warn(
    ['upstreams', 'trac'],
    'no signingKeys',
    'a key: without a signature the bridge in Trac refuses every request',
  )
}

const warnOfPlainHttp: Rule<UpstreamsPart> = ({ upstreams }, warn) => {
  for (const [name, { url, insecureHttp }] of entriesOf(upstreams)) {
    if (insecureHttp !== true || !isPlainHttp(url)) continue
    warn(
      ['upstreams', name, 'insecureHttp'],
      `plain http:// to ${url.host}`,
      'https://, unless nobody else can listen or speak in between',
    )
  }
}

const warnOfAccessTokens: Rule<UpstreamsPart & SessionPart> = ({ upstreams, session }, warn) => {
  if (session?.store === 'redis') return
  for (const [name, { forwardAccessToken }] of entriesOf(upstreams)) {
    if (forwardAccessToken !== true) continue
    warn(
      ['upstreams', name, 'forwardAccessToken'],
      'sessions that hold the access token, in cookies of more than 4 kB together',
      'session.store: redis, or a front proxy that takes as much (nginx: proxy_buffer_size 16k)',
    )
    return
  }
}

/** The applications behind the gateway. */
export const upstreamsTopic = {
  keys: { upstreams },
  checks: [checkTrac, checkScheme, checkKeys],
  warnings: {
    'unsigned-trac': warnOfNoSignature,
    'plain-http': warnOfPlainHttp,
    'access-token-cookies': warnOfAccessTokens,
  },
} satisfies Topic<{ upstreams: typeof upstreams }, UpstreamsPart & SessionPart>
