/** `POST /auth/backchannel-logout`: whatever a body is, it is 200 or 400; and a token that could not be obeyed may come again. */
import { mkdirSync, mkdtempSync, rmSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { startTestGateway } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { startRedis } from '../fixtures/redis.js'
import { stage } from '../fixtures/stage.js'
import { ask, codeOf } from '../fixtures/wire.js'

const line = 'POST /trac/auth/backchannel-logout'
const form = 'Content-Type: application/x-www-form-urlencoded'

async function start(t: Test, overlay: Overlay = {}, env: Record<string, string> = {}) {
  const { provider, gateway, settings, url, signIn } = await stage(t, {
    provider: 'scripted',
    providerOptions: { dialect: 'standard', path: '' },
    overlay,
    env,
  })
  let serial = 0
  return {
    gateway,
    overlay,
    provider,
    settings,
    url,
    visit: signIn,
    /** A body with a logout token for the whole of a person, made so many seconds ago. */
    tokenFor: (sub: string, ago = 0) => {
      const iat = Math.floor(Date.now() / 1000) - ago
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
      const claims = { sub, iat, exp: iat + 120, jti: `logout-${serial++}`, events }
      return `logout_token=${provider.sign('id', claims, { header: { typ: 'logout+jwt' } })}`
    },
    post: (body: string, headers: readonly string[] = [form]) =>
      ask(gateway, line, [...headers, `Content-Length: ${Buffer.byteLength(body)}`], body),
    /** Asks with a token of now, as often as it is called: one that is made after a sign-out is not ended by it. */
    signIn: (sub: string) => {
      const authorization = `Authorization: Bearer ${provider.sign('id', { sub, 'cognito:username': sub })}`
      return () => ask(gateway, 'GET /trac/auth/session', [authorization])
    },
  }
}

await t.test('a body over 16 KiB is 400, by its length or in chunks', async (t) => {
  const { gateway, post, tokenFor, signIn } = await start(t)
  const whois = signIn('pat')
  const token = tokenFor('pat')
  const long = `${token}&x=${'x'.repeat(16 * 1024)}`
  const chunked = `${long.length.toString(16)}\r\n${long}\r\n0\r\n\r\n`
  for (const answer of [
    await post(long),
    await ask(gateway, line, [form, 'Transfer-Encoding: chunked'], chunked),
    await ask(gateway, line, [form, 'Content-Length: 999999999999'], long),
  ]) {
    t.equal(answer.status, 400)
    t.equal(codeOf(answer), 'ERR_LOGOUT_TOKEN_INVALID')
    t.match(JSON.parse(answer.body), { error: 'invalid_request' })
    t.equal(answer.header('cache-control'), 'no-store')
  }
  t.equal((await whois()).status, 200, 'and ends nothing')
  const room = 16 * 1024 - token.length - 3
  t.equal((await post(`${token}&x=${'x'.repeat(room)}`)).status, 200, '16 KiB are not too many')
  t.equal((await whois()).status, 401)
})

await t.test('a body of any other kind than a logout token is 400', async (t) => {
  const { post, tokenFor } = await start(t)
  const bodies = [
    '',
    '&',
    '=',
    'logout_token',
    'logout_token=',
    '{"logout_token":"x"}',
    '%zz=%',
    '\0',
  ]
  for (const body of bodies) {
    for (const type of [[form], [], ['Content-Type: application/json'], ['Content-Type: ,']]) {
      const answer = await post(body, type)
      t.equal(answer.status, 400, `${type.join()} ${body}`)
      t.equal(codeOf(answer), 'ERR_LOGOUT_TOKEN_INVALID')
    }
  }
  t.equal((await post(tokenFor('pat'))).status, 200)
})

await t.test('a logout token whose sign-outs could not be stored may be sent again', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const revocationFile = join(folder, 'revocations')
  const { gateway, post, tokenFor } = await start(t, { session: { revocationFile } })
  const body = tokenFor('pat')
  // A folder of that name can't be appended to, for root either.
  rmSync(revocationFile)
  mkdirSync(revocationFile)
  const failed = await post(body)
  t.equal(failed.status, 503)
  t.equal(codeOf(failed), 'ERR_STORE_UNAVAILABLE')
  rmdirSync(revocationFile)
  t.equal((await post(body)).status, 200)
  t.equal((await post(body)).status, 400, 'but then no more')
  const metrics = await gateway.metrics()
  for (const result of ['ok', 'failed']) {
    t.match(metrics, `logouts_total{kind="backchannel",result="${result}"} 1\n`)
  }
})

await t.test('a word that comes late ends what was before it, and no sign-in since', async (t) => {
  const { post, tokenFor, visit, provider, url } = await start(t)
  const visitor = await visit({ sub: 'pat' })
  const statusOf = async () => (await visitor.copy().fetch(`${url}/auth/session`)).status
  t.equal((await post(tokenFor('pat', 120))).status, 200)
  t.equal(await statusOf(), 200, 'it began since')
  const kept = provider.sign('id', { sub: 'pat', iat: Math.floor(Date.now() / 1000) - 130 })
  const old = await ask({ port: Number(new URL(url).port) }, 'GET /trac/auth/session', [
    `Authorization: Bearer ${kept}`,
  ])
  t.equal(codeOf(old), 'ERR_TOKEN_REVOKED', 'a token from before is refused')
  t.equal((await post(tokenFor('pat'))).status, 200)
  t.equal(await statusOf(), 401)
})

await t.test('a logout token counts once, over a reload and for all replicas', async (t) => {
  const { gateway, post, tokenFor, overlay } = await start(t)
  const body = tokenFor('pat')
  t.equal((await post(body)).status, 200)
  t.equal(await gateway.reload({ ...overlay, log: { level: 'warn' } }), true)
  t.equal((await post(body)).status, 400, 'after a reload')
  const redis = await startRedis(t)
  const session = { store: 'redis', redis: { url: { fromEnv: 'REDIS_URL' } } }
  const server = { publicUrl: `http://localhost:${await freePort()}/trac` }
  const { settings, ...one } = await start(t, { session, server }, { REDIS_URL: redis.url })
  const other = await startTestGateway({ ...settings, port: await freePort() })
  t.teardown(() => other.close())
  const shared = one.tokenFor('pat')
  const host = `Host: ${new URL(server.publicUrl).host}`
  const headers = [form, host, `Content-Length: ${Buffer.byteLength(shared)}`]
  t.equal((await ask(one.gateway, line, headers, shared)).status, 200)
  t.equal((await ask(other, line, headers, shared)).status, 400, 'at the other replica')
})
