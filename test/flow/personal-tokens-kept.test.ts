/** Personal tokens of several replicas on a real Redis, and of one process that is killed. */
import { join } from 'node:path'
import { asBearer, formTokenIn, inWindow, makeToken } from '../fixtures/personal-tokens.js'
import { startRedis } from '../fixtures/redis.js'
import { stage } from '../fixtures/stage.js'
import { freePort } from '../fixtures/ports.js'
import { t } from '../fixtures/tap.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'

const folder = t.testdir({})
const { provider, upstream } = await stage(t, {
  provider: 'scripted',
  upstream: true,
  gateway: false,
})
const client = new Visitor()
const programs = { accept: '*/*', 'sec-fetch-mode': '', 'sec-fetch-site': '' }

await t.test('replicas with one Redis', async (t) => {
  const redis = await startRedis(t)
  const env = { REDIS_URL: redis.url }
  const overlay = {
    tokens: {},
    session: { store: 'redis', replicas: 'many', redis: { url: { fromEnv: 'REDIS_URL' } } },
    permissions: { anonymous: [], groups: { students: ['WIKI_VIEW'] } },
  }
  const one = await stage(t, { provider, upstream, overlay, env })
  const publicUrl = one.url
  const two = await stage(t, {
    ...{ provider, upstream, env, clock: one.clock },
    overlay: { ...overlay, server: { publicUrl } },
  })
  const { host } = new URL(publicUrl)
  const at = async (gateway: { readonly port: number }, token: string) => {
    const headers = { ...programs, ...asBearer(token), host }
    const answer = await client.fetch(`http://127.0.0.1:${gateway.port}/trac/wiki/Start`, {
      headers,
    })
    return answer.status === 200 ? 200 : `${answer.status} ${String(answer.json()['code'])}`
  }
  const visitor = await one.signIn({ groups: ['students'] })
  const token = await makeToken(visitor, publicUrl, { name: 'both' })

  await t.test('a token of one is good at the other at once', async (t) => {
    t.equal(await at(two, token), 200)
    t.equal(await at(one, token), 200)
  })

  await t.test('a proof at one takes rights at the other within five seconds', async (t) => {
    await one.signIn({ groups: [] })
    one.clock.advance(5000)
    t.equal(await at(two, token), '403 ERR_PERMISSION_REQUIRED')
    await one.signIn({ groups: ['students'] })
    one.clock.advance(5000)
    t.equal(await at(two, token), 200)
  })

  await t.test('a revocation at one counts at the other within a second', async (t) => {
    const other = await makeToken(visitor, publicUrl, { name: 'gone' })
    t.equal(await at(two, other), 200)
    const list = await visitor.open(`${publicUrl}/auth/tokens`, { headers: inWindow })
    const body = new URLSearchParams({ form: formTokenIn(list), id: other.slice(9, 33) })
    await visitor.submit(`${publicUrl}/auth/tokens/revoke`, body.toString(), { headers: inWindow })
    t.equal(await at(one, other), '401 ERR_TOKEN_UNKNOWN')
    await until(async () => (await at(two, other)) === '401 ERR_TOKEN_UNKNOWN')
  })

  await t.test('without Redis nobody is believed for longer than a revocation takes', async () => {
    await redis.stop()
    await until(async () => (await at(two, token)) === '503 ERR_STORE_UNAVAILABLE')
    await redis.start()
    await until(async () => (await at(two, token)) === 200)
  })
})

await t.test('a token that was shown outlives the process that is killed', async (t) => {
  const overlay = {
    tokens: { file: join(folder, 'tokens') },
    permissions: { anonymous: [], groups: { students: ['WIKI_VIEW'] } },
  }
  const port = await freePort()
  const before = await stage(t, { provider, upstream, overlay, port, gateway: 'process' })
  const visitor = await before.signIn({ groups: ['students'] })
  const token = await makeToken(visitor, before.url)
  before.gateway.signal('SIGKILL')
  await until(() => before.gateway.end !== '')
  const after = await stage(t, { provider, upstream, overlay, gateway: 'process' })
  const answer = await client.fetch(`${after.url}/wiki/Start`, {
    headers: { ...programs, ...asBearer(token) },
  })
  t.equal(answer.status, 200)
})
