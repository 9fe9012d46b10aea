/** What is remembered beside a connection saves work and decides nothing: each request is judged anew. */
import { t } from '../fixtures/tap.js'
import { learnTracGroups } from '../../src/config/topics/permissions.js'
import { createScriptedKey } from '../fixtures/scripted-keys.js'
import { stage } from '../fixtures/stage.js'
import { Wire, codeOf, requestText } from '../fixtures/wire.js'

const s = await stage(t, {
  provider: 'cognito',
  upstream: true,
  overlay: { permissions: { groups: learnTracGroups, anonymous: ['WIKI_VIEW'] } },
})
s.clock.stop()

/** A connection that stays, and a way to ask on it. */
function connection(): (headers: readonly string[]) => Promise<{ code: string; user: string }> {
  const wire = new Wire(s.port)
  t.teardown(() => wire.destroy())
  return async (headers) => {
    const before = s.upstream.received.length
    wire.send(requestText(s.gateway, 'GET /trac/wiki', ['Connection: keep-alive', ...headers]))
    const answer = await wire.answer()
    if (answer?.status !== 200) return { code: codeOf(answer!), user: 'nobody' }
    t.equal(s.upstream.received.length, before + 1)
    const cookie = s.upstream.lastHeaders()['cookie'] ?? ''
    t.notMatch(cookie, s.names.prefix, 'our cookie stays here')
    return { code: '', user: s.upstream.lastHeaders()['x-trac-user']! }
  }
}
const ok = (user: string) => ({ code: '', user })

await t.test('people who take turns on one connection get their own answers', async (t) => {
  const ask = connection()
  const bearer = { sam: await s.bearerOf(s.sam), ivan: await s.bearerOf(s.ivan) }
  const cookie = { sam: await s.cookieOf(s.sam), ivan: await s.cookieOf(s.ivan) }
  for (let round = 0; round < 3; round++) {
    for (const name of ['sam', 'ivan', 'ivan', 'sam'] as const) {
      t.strictSame(await ask([bearer[name]]), ok(name))
      t.strictSame(await ask([cookie[name]]), ok(name))
      t.strictSame(await ask([`${cookie[name]}; a=${round}`]), ok(name))
      t.equal(s.upstream.lastHeaders()['cookie'], `a=${round}`, 'other cookies go on')
      t.strictSame(await ask([]), ok(''), 'and who brings nothing is nobody')
      t.match((await ask([`${bearer[name]}x`])).code, /^ERR_TOKEN_/)
    }
  }
})

await t.test('a token and a session that are revoked between two requests are over', async (t) => {
  const { services } = s.gateway.gateway
  const ask = connection()
  const bearer = await s.bearerOf(s.sam)
  const cookie = await s.cookieOf(s.sam)
  t.strictSame(await ask([bearer]), ok('sam'))
  t.strictSame(await ask([bearer]), ok('sam'))
  await services.endings.endUser('sam')
  t.equal((await ask([bearer])).code, 'ERR_TOKEN_REVOKED')
  t.equal((await ask([bearer])).code, 'ERR_TOKEN_REVOKED')
  t.strictSame(await ask([cookie]), ok(''), 'as if no cookie had come')
  t.strictSame(await ask([await s.bearerOf(s.ivan)]), ok('ivan'), 'others go on')
})

await t.test('a token that expires between two requests is over', async (t) => {
  const ask = connection()
  const bearer = await s.bearerOf(s.ivan)
  t.strictSame(await ask([bearer]), ok('ivan'))
  s.clock.advance(30 * 86_400_000)
  t.equal((await ask([bearer])).code, 'ERR_TOKEN_EXPIRED')
  t.equal((await ask([bearer])).code, 'ERR_TOKEN_EXPIRED')
})

await t.test('a token whose key is gone is over', async (t) => {
  const own = await stage(t, { provider: 'scripted', upstream: true })
  const wire = new Wire(own.port)
  t.teardown(() => wire.destroy())
  const bearer = own.bearerOf()
  const ask = async () => {
    wire.send(requestText(own.gateway, 'GET /trac/wiki', ['Connection: keep-alive', bearer]))
    return (await wire.answer())!.status
  }
  t.equal(await ask(), 200)
  t.equal(await ask(), 200)
  own.provider.keys = [await createScriptedKey()]
  await own.gateway.gateway.services.issuers.main.keys.refresh()
  t.equal(await ask(), 401)
})
