/** Whose address and scheme count: forwarding headers of trusted proxies, read from the nearest hop outward. */
import type { Socket } from 'node:net'
import { t } from '../fixtures/tap.js'
import { trustedPeer } from '../../src/core/network.js'
import type { Scheme } from '../../src/request/client-address.js'
import { createClientResolver, createTrust } from '../../src/request/client-address.js'
import type { RequestHeaders } from '../../src/request/headers.js'

const none = { forwarded: '', forwardedFor: '', forwardedProto: '' }
type Said = Partial<typeof none>

const socketOf = (remoteAddress: string | undefined, encrypted = false): Socket =>
  Object.assign(
    Object.create(null) as object,
    { remoteAddress },
    encrypted ? { encrypted } : {},
  ) as unknown as Socket

function resolve(trusted: readonly string[], peer: string | undefined, said: Said, unix = false) {
  const resolver = createClientResolver(
    createTrust(trusted.map((text) => trustedPeer.parse(text)!)),
    unix,
  )
  return resolver(socketOf(peer), { ...none, ...said } as RequestHeaders)
}

const proxies = ['10.0.0.0/8', '192.0.2.1', 'fd00::/8']
const cases: readonly (readonly [
  what: string,
  peer: string,
  said: Said,
  address: string,
  scheme: Scheme | undefined,
])[] = [
  [
    'an untrusted peer is the client',
    '203.0.113.5',
    { forwardedFor: '1.2.3.4', forwardedProto: 'https' },
    '203.0.113.5',
    'http',
  ],
  [
    'a private address is not trusted by itself',
    '172.16.0.1',
    { forwardedFor: '1.2.3.4' },
    '172.16.0.1',
    'http',
  ],
  [
    'a trusted peer speaks for its client',
    '10.1.2.3',
    { forwardedFor: '198.51.100.7', forwardedProto: 'https' },
    '198.51.100.7',
    'https',
  ],
  [
    'a single address is a proxy',
    '192.0.2.1',
    { forwardedFor: '198.51.100.7' },
    '198.51.100.7',
    undefined,
  ],
  ['its neighbour is none', '192.0.2.2', { forwardedFor: '198.51.100.7' }, '192.0.2.2', 'http'],
  ['IPv6 proxies count', 'fd00::1', { forwardedFor: '2001:db8::1' }, '2001:db8::1', undefined],
  [
    'IPv4 in IPv6 is IPv4',
    '::ffff:10.1.2.3',
    { forwardedFor: '::ffff:198.51.100.7' },
    '198.51.100.7',
    undefined,
  ],
  [
    'the nearest untrusted hop is the client',
    '10.1.2.3',
    { forwardedFor: '1.1.1.1, 198.51.100.7, 10.9.9.9' },
    '198.51.100.7',
    undefined,
  ],
  [
    'a forged first hop does not count',
    '10.1.2.3',
    { forwardedFor: '127.0.0.1, 198.51.100.7' },
    '198.51.100.7',
    undefined,
  ],
  [
    'all hops trusted: the farthest',
    '10.1.2.3',
    { forwardedFor: '10.2.2.2, 10.3.3.3' },
    '10.2.2.2',
    undefined,
  ],
  [
    'what is no address ends the walk',
    '10.1.2.3',
    { forwardedFor: '1.1.1.1, unknown' },
    '10.1.2.3',
    undefined,
  ],
  [
    'ports and brackets come off',
    '10.1.2.3',
    { forwardedFor: '[2001:db8::1]:4711' },
    '2001:db8::1',
    undefined,
  ],
  [
    'a port of IPv4 comes off',
    '10.1.2.3',
    { forwardedFor: '198.51.100.7:4711' },
    '198.51.100.7',
    undefined,
  ],
  [
    'Forwarded counts too',
    '10.1.2.3',
    { forwarded: 'for=198.51.100.7;proto=https;by=10.1.2.3' },
    '198.51.100.7',
    'https',
  ],
  [
    'quoted IPv6 in Forwarded',
    '10.1.2.3',
    { forwarded: 'For="[2001:db8::1]:80";Proto=HTTPS' },
    '2001:db8::1',
    'https',
  ],
  [
    'Forwarded without https is plain',
    '10.1.2.3',
    { forwarded: 'for=198.51.100.7;proto=http' },
    '198.51.100.7',
    'http',
  ],
  [
    'X-Forwarded-For counts before Forwarded',
    '10.1.2.3',
    { forwardedFor: '198.51.100.7', forwardedProto: 'http', forwarded: 'for=1.1.1.1;proto=https' },
    '198.51.100.7',
    'http',
  ],
  ['nothing said: the proxy itself', '10.1.2.3', {}, '10.1.2.3', undefined],
  [
    'a hop that only looks like one of ours',
    '10.1.2.3',
    { forwardedFor: '10.0.0.1.evil' },
    '10.1.2.3',
    undefined,
  ],
]

for (const [what, peer, said, address, scheme] of cases) {
  await t.test(what, async (t) => {
    const client = resolve(proxies, peer, said)
    t.equal(client.address, address)
    t.equal(client.scheme, scheme)
  })
}

await t.test('the first value of X-Forwarded-Proto says how the visitor came', async (t) => {
  for (const [forwardedProto, forwarded, scheme] of [
    ['https', '', 'https'],
    ['HTTPS', '', 'https'],
    ['wss', '', 'https'],
    ['ws', '', 'http'],
    ['http', '', 'http'],
    ['https,http', '', 'https'],
    ['https, http', '', 'https'],
    ['http,https', '', 'http'],
    [',https', '', undefined],
    ['on', '', undefined],
    ['https:', '', undefined],
    ['constructor', '', undefined],
    ['', '', undefined],
    ['', 'for=1.1.1.1', undefined],
    ['', 'for=1.1.1.1;proto=https', 'https'],
    ['', 'proto=WSS', 'https'],
    ['', 'proto=http, proto=https', 'http'],
    ['', 'for=1.1.1.1, for=2.2.2.2;proto="https"', 'https'],
    ['', 'proto=ftp, proto=https', undefined],
    ['http', 'proto=https', 'http'],
    ['what', 'proto=https', undefined],
  ] as const) {
    const said = { forwardedFor: '198.51.100.7', forwardedProto, forwarded }
    t.equal(resolve(proxies, '10.1.2.3', said).scheme, scheme, `${forwardedProto} | ${forwarded}`)
  }
})

await t.test('where a proxy writes X-Forwarded-Proto, Forwarded is the client’s own', async (t) => {
  const said = { forwardedProto: 'https', forwarded: 'for=198.51.100.7;proto=http' }
  t.match(resolve(proxies, '10.1.2.3', said), { address: '10.1.2.3', scheme: 'https' })
})

await t.test('by default nobody is trusted, loopback included', async (t) => {
  for (const peer of ['127.0.0.1', '::1', '10.0.0.1']) {
    const said = { forwardedFor: '1.2.3.4', forwardedProto: 'https' }
    t.strictSame(resolve([], peer, said), { address: peer, scheme: 'http', trusted: false })
  }
})

await t.test(
  'networks of IPv6 hold no IPv4 address, and one that IPv6 carries is IPv4',
  async (t) => {
    const said = { forwardedFor: '198.51.100.7' }
    const spellings = ['::ffff:10.1.2.3', '::FFFF:a01:203', '0:0:0:0:0:ffff:10.1.2.3']
    for (const [trusted, peer, counts] of [
      ['::/0', '10.1.2.3', false],
      ['::/0', '2001:db8::1', true],
      ['::ffff:0:0/95', '10.1.2.3', false],
      ['0.0.0.0/0', '10.1.2.3', true],
      ['0.0.0.0/0', '2001:db8::1', false],
      ['::ffff:10.0.0.0/104', '10.1.2.3', true],
      ['::ffff:10.0.0.0/104', '11.1.2.3', false],
      ['::ffff:a01:203', '10.1.2.3', true],
      ...spellings.flatMap((spelling) => [
        ['::/0', spelling, false] as const,
        ['10.0.0.0/8', spelling, true] as const,
      ]),
    ] as const) {
      const client = resolve([trusted], peer, said)
      const plain = peer.includes('ff') || peer.includes('FF') ? '10.1.2.3' : peer
      t.equal(client.trusted, counts, `${peer} in ${trusted}`)
      t.equal(client.address, counts ? '198.51.100.7' : plain)
    }
    for (const spelling of spellings) {
      t.equal(resolve(['10.9.9.9'], '10.9.9.9', { forwardedFor: spelling }).address, '10.1.2.3')
    }
  },
)

await t.test('a Unix socket’s peer is trusted by the word unix alone', async (t) => {
  const said = { forwardedFor: '198.51.100.7', forwardedProto: 'https' }
  t.match(resolve(['unix'], undefined, said, true), { address: '198.51.100.7', scheme: 'https' })
  t.match(resolve(['10.0.0.0/8'], undefined, said, true), { address: 'unix', trusted: false })
  t.match(resolve(['unix'], undefined, said, false), { trusted: false }, 'not on a TCP listener')
})

await t.test('our own TLS is secure, whatever is said', async (t) => {
  const resolver = createClientResolver(createTrust([]), false)
  const client = resolver(socketOf('203.0.113.5', true), {
    ...none,
    forwardedProto: 'http',
  } as RequestHeaders)
  t.equal(client.scheme, 'https')
})
