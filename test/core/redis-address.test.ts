/** The address of Redis: each form read as written, and nothing else taken. */
import { t } from '../fixtures/tap.js'
import { assert, property, string } from 'fast-check'
import { redisAddress } from '../../src/core/redis-address.js'

await t.test('each form', async (t) => {
  const bare = { tls: false, username: undefined, password: undefined, db: 0, master: '' }
  const one = (host: string, port: number) => ({ host, port })
  const forms: readonly [string, object][] = [
    ['redis://cache', { ...bare, kind: 'standalone', hosts: [one('cache', 6379)] }],
    [
      'redis://10.1.2.3:7000/2',
      { ...bare, kind: 'standalone', hosts: [one('10.1.2.3', 7000)], db: 2 },
    ],
    ['rediss://[::1]:7000', { ...bare, kind: 'standalone', tls: true, hosts: [one('::1', 7000)] }],
    [
      'rediss://trac:p%40ss%3Aw%2Frd@cache:7000/',
      {
        ...bare,
        kind: 'standalone',
        tls: true,
        username: 'trac',
        password: 'p@ss:w/rd',
        hosts: [one('cache', 7000)],
      },
    ],
    [
      'redis://:secret@cache',
      { ...bare, kind: 'standalone', password: 'secret', hosts: [one('cache', 6379)] },
    ],
    [
      'redis+sentinel://a,b:26380/trac-master',
      {
        ...bare,
        kind: 'sentinel',
        hosts: [one('a', 26379), one('b', 26380)],
        master: 'trac-master',
      },
    ],
    [
      'rediss+cluster://u:p@a:1,b',
      {
        ...bare,
        kind: 'cluster',
        tls: true,
        username: 'u',
        password: 'p',
        hosts: [one('a', 1), one('b', 6379)],
      },
    ],
  ]
  for (const [url, address] of forms) t.same(redisAddress.parse(url), address, url)
})

await t.test('nothing else', async (t) => {
  const others = [
    '',
    'redis:',
    'redis://',
    'redis:///1',
    'http://cache',
    'redis+tls://cache',
    'redis://a,b',
    'redis://cache:0',
    'redis://cache:65536',
    'redis://cache/x',
    'redis://cache/12345',
    'redis://cache?db=1',
    'redis://cache#x',
    'redis+sentinel://a:26379',
    'redis+sentinel://a/',
    'redis+cluster://a/1',
    'redis+cluster://a,,b',
    'redis://ca che',
    ' redis://cache',
    'redis://cache\n',
    'redis://user@pass@cache',
    'REDIS://cache',
  ]
  for (const url of others) t.equal(redisAddress.parse(url), undefined, JSON.stringify(url))
})

await t.test('a user and a password of any text come back as they were', async (t) => {
  const text = string({ minLength: 1, unit: 'grapheme' })
  assert(
    property(text, text, (user, password) => {
      const url = `redis://${encodeURIComponent(user)}:${encodeURIComponent(password)}@cache`
      const address = redisAddress.parse(url)
      t.equal(address?.username, user)
      t.equal(address?.password, password)
    }),
  )
  assert(property(string(), (junk) => void redisAddress.parse(`redis://${junk}`)))
})
