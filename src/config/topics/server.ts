/** `server`: the public side. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { isLoopbackForBrowsers } from '../../core/host.js'
import { trustedPeer } from '../../core/network.js'
import type { Network } from '../../core/network.js'
import { publicUrl } from '../../core/public-url.js'
import { itemsOf } from '../draft.js'
import type { Draft } from '../draft.js'
import { choice, fixed, list, optional, shape, value } from '../key.js'
import type { Resolved } from '../key.js'
import { duration } from '../kinds/duration.js'
import { filePath } from '../kinds/file-path.js'
import { hstsKind } from '../kinds/hsts.js'
import { listenAddress } from '../kinds/listen-address.js'
import { pem } from '../kinds/secret.js'
import type { Pem } from '../kinds/secret.js'
import { size } from '../kinds/size.js'
import type { Rule, Topic } from '../topic.js'

const limits = shape('Sizes beyond which a request is refused.', {
  header: fixed(
    size(
      'All headers of a request together. Beyond it: 431. Trac’s own servers take 64 KiB.',
      '32KiB',
      { min: '1KiB', max: '1MiB' },
    ),
  ),
  target: size('The request target as it is sent on. Beyond it: 400.', '4000B', {
    min: '256B',
    max: '64KiB',
  }),
  body: size(
    'A request body, where its route says nothing else. Beyond it: 413. Trac’s attachments have 256 KiB by default.',
    '10MiB',
  ),
  spool: size(
    'All chunked bodies on disk together. Beyond it: 503, so that uploads cannot fill the disk.',
    '1GiB',
  ),
})

const timeouts = shape(
  'Limits against clients that hold connections. A whole request has no limit, so that slow lines can upload.',
  {
    headers: fixed(duration('Until all headers are here.', '15s', { min: '1s' })),
    bodyIdle: duration('Without one byte of the body.', '30s', { min: '1s' }),
    bodyMinimumRate: size(
      'Bytes per second of a body, or of an answer that waits for its client, at least, once 30 s are over.',
      '1KiB',
    ),
    clientRead: duration('A client reads nothing of an answer that waits for it.', '60s', {
      min: '1s',
    }),
    queue: duration(
      'How long a request waits for a place at its upstream (`upstreams.*.maxConnections`). Then: 503.',
      '10s',
    ),
    keepAlive: fixed(
      duration(
        'An idle connection is kept for that long: more than the 60 s of common balancers, so that they close it first.',
        '75s',
      ),
    ),
    drain: duration(
      'How long new connections are still taken when the process stops, so that a balancer can notice. More than its probes take to fail.',
      '5s',
      { min: '0s' },
    ),
    shutdown: duration(
      'How long running requests may take to finish when the process stops, `drain` included.',
      '30s',
    ),
  },
)

const server = shape('What browsers see.', {
  publicUrl: fixed(
    value(
      publicUrl,
      'Origin and base path, as browsers see them. Cookies, redirects and the check of `Host` follow from it. It is `https://`, unless the host is loopback.',
      { examples: ['https://trac.example.edu/trac'] },
    ),
  ),
  listen: fixed(
    value(
      listenAddress,
      'Where to listen: `host:port` or `unix:/path`. A container is reached at `0.0.0.0` only.',
      {
        default: '0.0.0.0:8080',
        examples: ['0.0.0.0:8080', 'unix:/run/trac-gateway.sock'],
        needs: 'parent folder',
      },
    ),
  ),
  tls: optional(
    fixed(
      shape('A certificate of our own. What its files hold is read again when it changes.', {
        certificate: pem('The certificate chain as PEM, the server’s own certificate first.', true),
        key: pem('Its private key as PEM, without passphrase.'),
      }),
    ),
    'TLS ends in front, at one of `trustedProxies`',
  ),
  hsts: value(
    hstsKind,
    'How long browsers use HTTPS alone for this host once they have been here (HSTS), for every application on it. `off` leaves the header out, `0s` takes an earlier one back. Without `https://` in `publicUrl` there is none.',
    { default: '365d', min: '0s', max: '3650d', examples: ['365d', 'off'] },
  ),
  trustedProxies: list(value(trustedPeer, 'A network, one address, or `unix`.'), {
    description:
      'Whose `X-Forwarded-*` count: networks, and `unix` for a Unix socket. By default nobody’s, since any client can write these headers.',
    default: [],
    examples: [['10.0.0.0/8', 'unix']],
  }),
  limits,
  timeouts,
  spoolDirectory: value(
    filePath,
    'Where chunked bodies over 1 MiB wait, in files without a name.',
    { default: '/tmp', needs: 'folder' },
  ),
  forwardAuth: optional(
    choice(
      'The front proxy that asks `/auth/verify`; each tells the request in its own words. Files for all four stand in `deploy/forward-auth`.',
      ['nginx', 'traefik', 'caddy', 'envoy'],
    ),
    '`/auth/verify` is off',
  ),
})

/** `server` of the configuration. */
export type ServerConfig = Resolved<typeof server>

/** What the rules of the public side look at. */
export interface ServerPart {
  readonly server: ServerConfig
}

const checkScheme: Rule<ServerPart> = ({ server }, report) => {
  const { hostname, secure } = server?.publicUrl ?? {}
  if (hostname === undefined || secure !== false) return
  if (!isLoopbackForBrowsers(hostname)) {
    const wanted = 'https://, since only a loopback host may go without'
    report(['server', 'publicUrl'], `http:// on ${hostname}`, wanted)
  } else if (server?.tls !== undefined) {
    report(
      ['server', 'tls'],
      'a certificate with an http:// publicUrl',
      'https:// in publicUrl, or no server.tls',
    )
  }
}

const checkTls: Rule<ServerPart> = ({ server }, report, given) => {
  if (server?.publicUrl?.secure !== true || given(['server', 'tls'])) return
  const proxies = server.trustedProxies
  if (proxies?.length === 0) {
    report(
      ['server'],
      'https:// in publicUrl, but nobody who does TLS',
      'server.tls (a certificate of our own), or server.trustedProxies (the proxy that does TLS)',
    )
  }
  const onSocket = server.listen !== undefined && 'path' in server.listen
  if (onSocket && proxies?.length && !proxies.includes('unix')) {
    report(
      ['server', 'trustedProxies'],
      'no unix, while listen is a Unix socket',
      'unix, since peers on the socket have no address',
    )
  }
}

const checkForwardAuth: Rule<ServerPart> = ({ server }, report) => {
  if (server?.forwardAuth !== undefined && server.trustedProxies?.length === 0) {
    report(
      ['server', 'forwardAuth'],
      `${server.forwardAuth} without trustedProxies`,
      'server.trustedProxies, since only they may ask /auth/verify',
    )
  }
}

/** The parsed text; null when it is something else, undefined when there is no text. */
function readPem<T>(pem: Draft<Pem> | undefined, read: (text: string) => T): T | null | undefined {
  if (pem?.value === undefined) return undefined
  try {
    return read(pem.value)
  } catch {
    return null
  }
}

const checkCertificate: Rule<ServerPart> = ({ server }, report) => {
  const { certificate, key } = server?.tls ?? {}
  const chain = readPem(certificate, (text) => new X509Certificate(text))
  const secret = readPem(key, createPrivateKey)
  if (chain === null) {
    report(['server', 'tls', 'certificate'], 'no certificate', 'a certificate chain as PEM')
  }
  if (secret === null) {
    report(['server', 'tls', 'key'], 'no private key', 'a private key as PEM, without passphrase')
  }
  if (chain && secret && !chain.checkPrivateKey(secret)) {
    report(
      ['server', 'tls', 'key'],
      'the key of another certificate',
      'the key that belongs to server.tls.certificate',
    )
  }
}

const warnOfBasePath: Rule<ServerPart> = ({ server }, warn) => {
  const { base = '', host } = server?.publicUrl ?? {}
  if (base === '') return
  warn(
    ['server', 'publicUrl'],
    `the base path ${base}`,
    `a host of its own: every application on ${host} receives the session cookie and passes as same-origin`,
  )
}

/** The part of all addresses from which on networks are no longer those of proxies; all of IPv6 in use is 2000::/3. */
const everybody = { ipv4: 1 / 2, ipv6: 1 / 8 } as const

/** The part of its family's addresses that a network has. */
const shareOf = ({ prefix = 128 }: Draft<Network>): number => 2 ** -prefix

const warnOfTrust: Rule<ServerPart> = ({ server }, warn) => {
  const networks = itemsOf(server?.trustedProxies).flatMap(([index, peer]) =>
    peer === 'unix' ? [] : [{ index, share: shareOf(peer), family: peer.family }],
  )
  for (const family of ['ipv4', 'ipv6'] as const) {
    const own = networks.filter((network) => network.family === family)
    if (own.reduce((sum, { share }) => sum + share, 0) < everybody[family]) continue
    // The one that is everybody by itself, or all of them together.
    const whole = own.find(({ share }) => share >= everybody[family])
    warn(
      ['server', 'trustedProxies', ...(whole === undefined ? [] : [whole.index])],
      whole === undefined ? 'networks that are everybody together' : 'everybody, or nearly',
      'the networks of the proxies alone: whoever is in them can write X-Forwarded-*',
    )
  }
}

const warnOfShutdown: Rule<ServerPart> = ({ server }, warn) => {
  const { drain = 0, shutdown = Number.POSITIVE_INFINITY } = server?.timeouts ?? {}
  if (drain === 0 || drain < shutdown) return
  warn(
    ['server', 'timeouts', 'drain'],
    'no less than shutdown',
    'less: what begins at the end of the drain would have no time to finish',
  )
}

/** The public side. */
export const serverTopic = {
  keys: { server },
  checks: [checkScheme, checkTls, checkForwardAuth, checkCertificate],
  warnings: {
    'base-path': warnOfBasePath,
    'trusted-proxies': warnOfTrust,
    'drain-time': warnOfShutdown,
  },
} satisfies Topic<{ server: typeof server }, ServerPart>
