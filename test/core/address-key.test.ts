/** The address by which somebody is counted: IPv4 whole, IPv6 by its /64 in every spelling. */
import { t } from '../fixtures/tap.js'
import { addressKey } from '../../src/core/network.js'

const cases: readonly (readonly [address: string, key: string])[] = [
  ['203.0.113.5', '203.0.113.5'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002:0000:0000:0000:0001', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['2001:db8:1:2:3::', '2001:db8:1:2::/64'],
  ['unix', 'unix'],
  ['', ''],
]
for (const [address, key] of cases) {
  await t.test(`${address || 'nothing'} is counted as ${key || 'nothing'}`, async (t) => {
    t.equal(addressKey(address), key)
  })
}

await t.test('two addresses of one household are one, of two are two', async (t) => {
  t.equal(addressKey('2001:db8:1:2::1'), addressKey('2001:db8:1:2:ffff:ffff:ffff:ffff'))
  t.not(addressKey('2001:db8:1:2::1'), addressKey('2001:db8:1:3::1'))
})
