/** Networks of both families, as `server.trustedProxies` writes them. */
import { t } from '../fixtures/tap.js'
import { trustedPeer } from '../../src/core/network.js'

await t.test('reads networks of both families, and the word unix', async (t) => {
  const read = (text: string) => trustedPeer.parse(text)
  t.equal(read('unix'), 'unix')
  t.same(read('10.0.0.0/8'), { address: '10.0.0.0', prefix: 8, family: 'ipv4' })
  t.same(read('192.0.2.7'), { address: '192.0.2.7', prefix: 32, family: 'ipv4' })
  t.same(read('fd00::/8'), { address: 'fd00::', prefix: 8, family: 'ipv6' })
  t.same(read('::1'), { address: '::1', prefix: 128, family: 'ipv6' })
  t.same(read('0.0.0.0/0'), { address: '0.0.0.0', prefix: 0, family: 'ipv4' })
})

await t.test('an IPv6 network that carries IPv4 is a network of IPv4', async (t) => {
  const ipv4 = { family: 'ipv4' as const }
  for (const text of ['::ffff:10.0.0.0/104', '::FFFF:a00:0/104', '0:0:0:0:0:ffff:10.0.0.0/104']) {
    t.same(trustedPeer.parse(text), { ...ipv4, address: '10.0.0.0', prefix: 8 }, text)
  }
  t.same(trustedPeer.parse('::ffff:10.0.0.1'), { ...ipv4, address: '10.0.0.1', prefix: 32 })
  t.same(trustedPeer.parse('::ffff:0:0/80'), { address: '::ffff:0:0', prefix: 80, family: 'ipv6' })
})

await t.test('refuses all else', async (t) => {
  const wrong = ['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/8/8', '10.0.0/8']
  const more = ['', '/8', 'localhost', 'fe80::1%eth0', '10.0.0.0/-1', '1.2.3.4/1e1', 'Unix', ' ::1']
  for (const text of [...wrong, ...more]) t.equal(trustedPeer.parse(text), undefined, text)
})
