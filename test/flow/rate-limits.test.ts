/** Rate limits: too much is 429, a class behind one address is not too much, and probes are never counted. */
import { randomUUID } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { FastifyAdapter } from '../../src/app/fastify.js'
import { createCounter } from '../../src/edge/rate-limit.js'
import type { Overlay } from '../fixtures/gateway.js'
import { heldHeap } from '../fixtures/heap.js'
import { scaled } from '../fixtures/scale.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'

t.setTimeout(600_000)

const { provider, alice, ivan, sam, upstream } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  gateway: false,
})

/** A gateway that believes its peer, which says that a request comes from any address. */
async function start(t: Test, overlay: Overlay = {}) {
  const server = { trustedProxies: ['127.0.0.1/32'] }
  const { gateway } = await stage(t, {
    provider,
    upstream,
    api: upstream,
    overlay: { ...overlay, server },
  })
  return gateway
}
const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
const times = (status: number, count: number) => Array<number>(count).fill(status)

await t.test('a class of 200 behind one address signs in within a minute', async (t) => {
  const { url } = await start(t)
  const statuses: number[] = []
  for (let i = 0; i < 200; i += 10) {
    const group = Array.from({ length: 10 }, async () => {
      const visitor = new Visitor()
      await visitor.signIn(`${url}/auth/login`, sam)
      return (await visitor.fetch(`${url}/auth/session`)).status
    })
    statuses.push(...(await Promise.all(group)))
  }
  t.same(statuses, times(200, 200))
})

await t.test('sign-ins are counted by the client’s address, IPv6 by its /64', async (t) => {
  const { url } = await start(t, { rateLimit: { auth: { max: 3, per: '1h' } } })
  const login = async (address: string) => {
    const { status, headers, text } = await new Visitor().open(`${url}/auth/login`, from(address))
    if (status === 429) {
      t.match(headers['retry-after'], /^[1-9]\d*$/)
      t.match(text, 'Too many')
    }
    return status
  }
  const all = async (...addresses: string[]) => {
    const statuses: number[] = []
    for (const address of addresses) statuses.push(await login(address))
    return statuses
  }
  t.same(await all('192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.1'), [302, 302, 302, 429])
  t.same(await all('192.0.2.2'), [302], 'another address is another client')
  const house = ['2001:db8:1:2::1', '2001:db8:1:2::2', '2001:db8:1:2:f::3', '2001:db8:1:2::4']
  t.same(await all(...house), [302, 302, 302, 429])
  t.same(await all('2001:db8:1:3::1'), [302])
})

await t.test('probes and the client script are never counted', async (t) => {
  const { url, adminUrl } = await start(t, { rateLimit: { auth: { max: 2, per: '1h' } } })
  const ask = async (address: string) => (await fetch(address)).status
  for (const address of [`${url}/auth/healthz`, `${url}/auth/client.js`, `${adminUrl}/readyz`]) {
    const statuses: number[] = []
    for (let i = 0; i < 50; i++) statuses.push(await ask(address))
    t.same(new Set(statuses), new Set([200]), address)
  }
  t.equal((await new Visitor().open(`${url}/auth/login`)).status, 302)
})

await t.test('who is signed in is counted by session, not by address', async (t) => {
  const { url, origin } = await start(t, { rateLimit: { auth: { max: 5, per: '1h' } } })
  const [one, other] = [new Visitor(), new Visitor()]
  await one.signIn(`${url}/auth/login`, sam)
  await other.signIn(`${url}/auth/login`, ivan)
  const look = async (visitor: Visitor) => (await visitor.fetch(`${url}/auth/session`)).status
  const looks: number[] = []
  for (let i = 0; i < 7; i++) looks.push(await look(one))
  t.same(looks, [...times(200, 5), 429, 429])
  t.equal(await look(other), 200, 'a neighbour at the same address is not concerned')
  const renew = async (visitor: Visitor) => {
    const sent = { method: 'POST', headers: { origin } }
    return (await visitor.fetch(`${url}/auth/refresh`, sent)).status
  }
  const renewals: number[] = []
  for (let i = 0; i < 7; i++) renewals.push(await renew(one))
  t.same(renewals, [...times(200, 5), 429, 429], 'renewals on request are counted, too')
  t.equal(await renew(other), 200)
})

await t.test('a route is counted by person or by address, as its configuration says', async (t) => {
  const limit = (by: string) => ({ rateLimit: { max: 3, per: '1h', by } })
  const { url } = await start(t, {
    routes: [
      { name: 'own', path: '/api/own', upstream: 'api', ...limit('principal') },
      { name: 'shared', path: '/api/shared', upstream: 'api', ...limit('address') },
      { name: 'open', path: '/api/open', upstream: 'api', access: 'public', ...limit('principal') },
    ],
  })
  const tokens = await Promise.all([alice, ivan].map((person) => provider.mint({}, { person })))
  const call = async (path: string, token: string | undefined, address: string) => {
    const headers = {
      ...from(address).headers,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    }
    const answer = await new Visitor().fetch(`${url}/api/${path}`, { headers })
    if (answer.status === 429) t.match(answer.json(), { code: 'ERR_RATE_LIMITED' })
    return answer.status
  }
  const [first, second] = tokens
  const own: number[] = []
  for (let i = 0; i < 4; i++) own.push(await call('own', first, `192.0.2.${i}`))
  t.same(own, [200, 200, 200, 429], 'wherever the person comes from')
  t.equal(await call('own', second, '192.0.2.1'), 200)
  const shared: number[] = []
  for (let i = 0; i < 4; i++) shared.push(await call('shared', tokens[i % 2], '192.0.2.9'))
  t.same(shared, [200, 200, 200, 429], 'whoever it is')
  t.equal(await call('shared', first, '192.0.2.10'), 200)
  const open: number[] = []
  for (let i = 0; i < 4; i++) open.push(await call('open', undefined, '192.0.2.11'))
  t.same(open, [200, 200, 200, 429], 'without a person by address')
})

await t.test(
  'a request that is refused for its credential is not counted for anybody',
  async (t) => {
    const { url } = await start(t, {
      routes: [
        {
          name: 'api',
          path: '/api/**',
          upstream: 'api',
          rateLimit: { max: 1, per: '1h', by: 'principal' },
        },
      ],
    })
    const token = await provider.mint({}, { person: sam })
    const call = async (bearer: string) => {
      const headers = { authorization: `Bearer ${bearer}` }
      return (await new Visitor().fetch(`${url}/api/x`, { headers })).status
    }
    const forged = `${token.slice(0, -8)}AAAAAAAA`
    t.same([await call(forged), await call(forged)], [401, 401])
    t.equal(await call(token), 200, 'nobody can use up another’s share')
  },
)

await t.test(
  'who brings bad tokens waits with new ones; known ones and others go on',
  async (t) => {
    const { gateway, clock } = await stage(t, {
      provider,
      upstream,
      api: upstream,
      overlay: {
        server: { trustedProxies: ['127.0.0.1/32'] },
        rateLimit: { badTokens: { max: 3, per: '1m' } },
      },
    })
    clock.stop()
    const call = async (token: string, address: string) => {
      const headers = { ...from(address).headers, authorization: `Bearer ${token}` }
      const answer = await new Visitor().fetch(`${gateway.url}/wiki`, { headers })
      if (answer.status === 429) {
        t.equal(answer.headers['retry-after'], '60')
        t.match(answer.json(), { code: 'ERR_RATE_LIMITED' })
      }
      return answer.status
    }
    const mint = (claims = {}) => provider.mint({ jti: randomUUID(), ...claims }, { person: sam })
    const known = await mint()
    const house = (i: number) => `2001:db8:1:2::${i}`
    t.equal(await call(known, house(1)), 200)
    const exp = Math.floor(clock() / 1000) - 60
    const expired = await mint({ exp })
    for (let i = 0; i < 5; i++) t.equal(await call(expired, house(i)), 401, 'it has to be told so')
    const forged = (await mint()).replace(/.{8}$/, 'AAAAAAAA')
    for (const bad of [forged, 'x.y.z', forged]) t.equal(await call(bad, house(2)), 401)
    t.equal(await call(forged, house(3)), 429)
    t.equal(await call(await mint(), house(3)), 429, 'a good one that is not known yet')
    t.equal(await call(known, house(4)), 200)
    t.equal(await call(await mint(), '2001:db8:1:3::1'), 200, 'from elsewhere')
    const line = gateway.lines.find(({ code }) => code === 'ERR_RATE_LIMITED')
    t.match(JSON.stringify(line), 'rateLimit.badTokens')
    clock.advance(60_000)
    t.equal(await call(await mint(), house(3)), 200)
  },
)

await t.test('any number of keys takes no more memory than the bound', async (t) => {
  const adapter = await FastifyAdapter.create(undefined)
  t.teardown(() => adapter.close())
  let key = 0
  const limit = { name: 'test', max: 5, per: 3_600_000 }
  const counter = createCounter(adapter.count(limit), limit)
  const hit = () => counter.hit(`10.${key >> 16}.${key & 0xffff}`)
  const run = async (count: number) => {
    for (let i = 0; i < count; i++, key++) await hit()
  }
  await run(60_000)
  const before = await heldHeap()
  const count = scaled(100_000, 1_000_000)
  await run(count)
  const grown = ((await heldHeap()) - before) / 1024 / 1024
  t.ok(grown < 8, `${grown.toFixed(1)} MiB more after ${count} keys`)
  key -= 1
  for (let i = 0; i < 4; i++) await hit()
  await t.rejects(hit(), { code: 'ERR_RATE_LIMITED' })
})
