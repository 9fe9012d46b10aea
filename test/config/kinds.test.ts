/** Kinds of text: what the pattern in the editors' schema accepts is what the parser reads. */
import { isIPv4, isIPv6 } from 'node:net'
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { hostName, ipv4, ipv6, urlHost } from '../../src/core/host.js'
import { trustedPeer } from '../../src/core/network.js'
import { publicUrl } from '../../src/core/public-url.js'
import { redisAddress } from '../../src/core/redis-address.js'
import type { TextKind } from '../../src/core/text-kind.js'
import { upstreamAddress } from '../../src/core/upstream-address.js'
import { jsonSchema } from '../../src/config/json-schema.js'
import type { KeySchema } from '../../src/config/key.js'
import { configKeys } from '../../src/config/schema.js'
import { collectorKind } from '../../src/config/kinds/collector.js'
import { durationKind } from '../../src/config/kinds/duration.js'
import { filePath } from '../../src/config/kinds/file-path.js'
import { hstsKind } from '../../src/config/kinds/hsts.js'
import { issuerKind } from '../../src/config/kinds/issuer.js'
import { linkKind } from '../../src/config/kinds/link.js'
import { listenAddress } from '../../src/config/kinds/listen-address.js'
import { ownerSeenKind } from '../../src/config/kinds/owner-seen.js'
import { pathPattern } from '../../src/config/kinds/path-pattern.js'
import { sizeKind } from '../../src/config/kinds/size.js'

/** Every kind, with texts that it accepts. */
const kinds: readonly (readonly [name: string, TextKind<unknown>, readonly string[]])[] = [
  ['duration', durationKind, ['0s', '500ms', '30s', '15m', '8h', '7d', '999999999999999ms']],
  ['duration or off', hstsKind, ['off', '0s', '365d', '730d']],
  ['duration or never', ownerSeenKind, ['never', '1d', '14d']],
  ['size', sizeKind, ['0B', '4000B', '64KiB', '10MiB', '1GiB', '999999GiB']],
  ['listen address', listenAddress, ['0.0.0.0:80', '[::1]:0', 'localhost:65535', 'unix:/run/x y']],
  ['network', trustedPeer, ['unix', '10.0.0.0/8', '192.0.2.1', 'fd00::/8', '::ffff:10.0.0.0/104']],
  ['file path', filePath, ['/tmp', 'a/b c', 'ü', '..']],
  ['path pattern', pathPattern, ['/', '/api/**', '/a*b/*', '/*x*', '/ü/100%/', '/a.b/...']],
  ['public URL', publicUrl, ['https://trac.example.edu/trac', 'http://[::1]:80/', 'http://a_b./x']],
  ['issuer', issuerKind, ['https://idp.example.edu/realms/trac', 'http://10.0.0.1/a//b;c=d@e']],
  ['link', linkKind, ['https://a.example.edu', 'http://[::1]:80/x?y#z', '/', '/trac/wiki', '/#a']],
  ['collector', collectorKind, ['http://127.0.0.1:4318/v1/traces', 'https://[::1]/a//b;c=d@e']],
  ['upstream', upstreamAddress, ['http://127.0.0.1:8000', 'https://a-b.c/', 'unix:/run/x']],
  [
    'Redis address',
    redisAddress,
    [
      'redis://cache',
      'rediss://u:p%40@[::1]:7000/2',
      'redis+sentinel://a,b:26380/m',
      'redis+cluster://a:1,b/',
    ],
  ],
]

/** The kinds that the schema has anywhere. */
function kindsOf(schema: KeySchema): readonly TextKind<unknown>[] {
  const { kind, items, anyOf = [], properties = {}, additionalProperties: item } = schema
  const below = [...anyOf, ...Object.values(properties), items, item]
  return [
    ...(kind === undefined ? [] : [kind]),
    ...below.flatMap((one) => (typeof one === 'object' ? kindsOf(one) : [])),
  ]
}

await t.test(
  'every kind of the schema is tried here, and its pattern is the schema’s',
  async (t) => {
    const tried = new Set(kinds.map(([, kind]) => kind))
    const used = new Set(kindsOf(configKeys))
    t.same(
      [...used].filter((kind) => !tried.has(kind)).map(({ wanted }) => wanted),
      [],
    )
    t.ok(used.size >= 10)
    const editors = JSON.stringify(jsonSchema())
    for (const kind of used) {
      // An address that is a secret never stands in the file.
      if (kind !== redisAddress) t.ok(editors.includes(JSON.stringify(kind.pattern)), kind.wanted)
    }
  },
)

/** Texts near those that a kind accepts: a piece is cut out, and pieces of others are put in. */
function near(accepted: readonly string[]): fc.Arbitrary<string> {
  const pieces = fc.oneof(
    fc.constantFrom(...accepted),
    fc.constantFrom(...'/:[]@?#%.*-_0019azAZ \\\n\0üé,+'.split('')),
    fc.constantFrom('://', '..', '**', '%41', 'unix:', '::', 'https://', 'xn--', '0x1', '65536'),
    fc.string({ maxLength: 3, unit: 'binary' }),
  )
  return fc
    .tuple(fc.constantFrom(...accepted), fc.nat(20), fc.nat(6), fc.array(pieces, { maxLength: 3 }))
    .map(([text, at, cut, put]) => text.slice(0, at) + put.join('') + text.slice(at + cut))
}

/** A label in Punycode that stands for nothing: the one thing about a host that no pattern can tell. */
const isFalsePunycode = (text: string): boolean =>
  /xn--/i.test(text) && !URL.canParse(text.replace(/^unix.*/s, 'x:'))

await t.test('the pattern of a kind and its parser accept the same texts', async (t) => {
  for (const [name, kind, accepted] of kinds) {
    const pattern = new RegExp(kind.pattern, 'u')
    for (const text of accepted) t.not(kind.parse(text, '/etc'), undefined, `${name}: ${text}`)
    fc.assert(
      fc.property(near(accepted), (text) => {
        const isRead = kind.parse(text, '/etc') !== undefined
        return isRead === pattern.test(text) || isFalsePunycode(text)
      }),
      { numRuns: 3000 },
    )
  }
})

await t.test('a kind says what is wanted, and answers any text in a moment', async (t) => {
  for (const [name, kind] of kinds) {
    t.ok(kind.name !== '' && kind.wanted !== '', name)
    const before = process.cpuUsage()
    for (const text of ['a', 'a-', '/a', '1', '*', ':', 'a.', '[', '%4', ','].flatMap((piece) => [
      piece.repeat(100_000),
      `https://${piece.repeat(100_000)} `,
      `redis://${piece.repeat(100_000)} `,
    ])) {
      kind.hint(text)
      kind.parse(text, '/etc')
    }
    const { user } = process.cpuUsage(before)
    t.ok(user < 3_000_000, `${name}: ${user} µs of this process`)
  }
})

await t.test('addresses are told from names as Node tells them', async (t) => {
  const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`, 'u')
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.ipV4Extended(),
    fc.stringMatching(/^[0-9a-f:.]{1,20}$/),
    fc.stringMatching(/^(?:[0-9a-f]{0,4}:){2,8}[0-9a-f]{0,4}$/),
    fc.stringMatching(/^::(?:[0-9]{1,3}\.){3}[0-9]{1,3}$/),
    fc.stringMatching(/^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$/),
  )
  fc.assert(
    fc.property(address, (text) => {
      const ours = [whole(ipv4).test(text), whole(ipv6).test(text)]
      return ours[0] === isIPv4(text) && ours[1] === isIPv6(text)
    }),
    { numRuns: 10_000 },
  )
  const hosts = fc.oneof(fc.domain(), fc.stringMatching(/^[a-zA-Z0-9._x-]{1,12}$/), address)
  fc.assert(
    fc.property(hosts, (text) => {
      if (!whole(urlHost).test(text) || /xn--/i.test(text)) return true
      const { hostname, origin } = new URL(`https://${text}`)
      return whole(hostName).test(text)
        ? hostname === text.toLowerCase()
        : origin === `https://${hostname}`
    }),
    { numRuns: 10_000 },
  )
  t.pass('for all that were tried')
})
