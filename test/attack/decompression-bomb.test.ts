/** mod_auth_openidc 2026: what is small on the wire and large once unpacked is never unpacked, or not to its end. */
import { gzipSync } from 'node:zlib'
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'
import { ask } from '../fixtures/wire.js'

/** 1 GiB of white space, which JSON allows anywhere, in 1 MB: sixty-four times the same member (RFC 1952 §2.2). */
const bomb = Buffer.concat(Array<Buffer>(64).fill(gzipSync(Buffer.alloc(16 * 1024 * 1024, ' '))))
const encoded = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }
/** MiB; far from a thousand. */
const maxGrowth = 150

const { provider, upstream, gateway, signIn } = await stage(t, {
  provider: 'scripted',
  upstream: true,
  api: true,
  gateway: 'process',
  overlay: {
    identity: { username: { emailLocalPart: 'example.edu' } },
    rateLimit: { failures: { max: 1000, per: '1m' } },
  },
})
const json = 'Content-Type: application/json'

await t.test('a packed answer of the provider is read to its limit and no further', async (t) => {
  const statuses: number[] = []
  const grown = await gateway.peakGrowth(async () => {
    provider.replace('token', () => ({ headers: encoded, body: bomb }))
    provider.replace('userinfo', () => ({ headers: encoded, body: bomb }))
    for (let i = 0; i < 4; i++) {
      const token = JSON.stringify({ refresh_token: `x${i}` })
      const length = `Content-Length: ${token.length}`
      statuses.push((await ask(gateway, 'POST /trac/auth/refresh', [json, length], token)).status)
      const page = await new Visitor().follow(`${gateway.url}/auth/login`)
      statuses.push(page.status)
      const bearer = `Authorization: Bearer ${provider.sign('access', { sub: `sub-${i}` })}`
      statuses.push((await ask(gateway, 'GET /trac/api/x', [bearer])).status)
    }
  })
  t.same(new Set(statuses), new Set([502]))
  t.equal(statuses.length, 12)
  t.ok(grown < maxGrowth, `${grown} MiB more at most`)
})

await t.test('our own endpoints unpack nothing that a client sends', async (t) => {
  const small = gzipSync(JSON.stringify({ refresh_token: 'x'.repeat(8_000_000) }))
  t.ok(small.length < 16_384)
  const before = provider.counts.token
  for (const coding of ['gzip', 'deflate', 'br', 'x-gzip']) {
    const headers = [json, `Content-Encoding: ${coding}`, `Content-Length: ${small.length}`]
    const answer = await ask(gateway, 'POST /trac/auth/refresh', headers, small.toString('latin1'))
    t.equal(answer.status, 400, coding)
  }
  t.equal(provider.counts.token, before)
})

await t.test('a packed body for an upstream passes as it is', async (t) => {
  const bearer = `Authorization: Bearer ${provider.sign('id')}`
  const packed = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  const headers = [bearer, 'Content-Encoding: gzip', `Content-Length: ${packed.length}`]
  const grown = await gateway.peakGrowth(async () => {
    const answer = await ask(gateway, 'POST /trac/api/x', headers, packed.toString('latin1'))
    t.equal(answer.status, 200)
  })
  t.ok(upstream.received.at(-1)?.body.equals(packed))
  t.equal(upstream.lastHeaders()['content-encoding'], 'gzip')
  t.ok(grown < maxGrowth, `${grown} MiB more at most`)
})

await t.test('nobody else can say whether a sealed value is compressed', async (t) => {
  provider.restore()
  const visitor = await signIn()
  const [name, value] = [...visitor.cookies(gateway.url)].find(([it]) => it.endsWith('-s'))!
  const [header = '', ...rest] = value.split('.')
  const { zip, ...members } = JSON.parse(Buffer.from(header, 'base64url').toString()) as {
    zip?: string
  }
  t.equal(zip, 'DEF', 'it is compressed')
  const unzipped = Buffer.from(JSON.stringify(members)).toString('base64url')
  const status = async (sent: string) =>
    (await visitor.fetch(`${gateway.url}/api/x`, { cookie: `${name}=${sent}`, keep: false })).status
  t.equal(await status(value), 200)
  t.equal(await status([unzipped, ...rest].join('.')), 401)
})
