/** Login CSRF: nobody signs somebody else in as themselves (CVE-2017-1000069/1000070, CVE-2023-31999). */
import t from 'tap'
import { startScriptedProvider } from '../fixtures/scripted-provider.js'
import { Visitor } from '../fixtures/visitor.js'
import { startTestGateway, startUpstream } from '../fixtures/gateway.js'

const provider = await startScriptedProvider()
const upstream = await startUpstream()
const gateway = await startTestGateway({
  issuer: provider.issuer,
  clientId: provider.clientId,
  cognitoDomain: provider.origin,
  tracUrl: upstream.url,
})
t.teardown(async () => {
  await gateway.close()
  await upstream.close()
  await provider.stop()
})
const { session, attempt } = gateway.gateway.services.names
const isCallback = (url: URL) => url.pathname.endsWith('/callback')
const hasSession = (visitor: Visitor) => visitor.cookies(gateway.url).has(session)

/** The attacker's own callback address, fresh and unused, and the cookies of their attempt. */
async function attack() {
  const attacker = new Visitor()
  const back = await attacker.follow(`${gateway.url}/auth/login`, isCallback)
  return { attacker, back: new URL(back.location) }
}

await t.test('a callback of another browser gives no session', async (t) => {
  const { back } = await attack()
  const victim = new Visitor()
  const page = await victim.open(back)
  t.equal(page.status, 400)
  t.match(page.text, 'ERR_LOGIN_UNKNOWN')
  t.notOk(hasSession(victim))
})

await t.test('nor to a victim who is signing in at the same time', async (t) => {
  const { back } = await attack()
  const victim = new Visitor()
  const own = new URL((await victim.follow(`${gateway.url}/auth/login`, isCallback)).location)
  const theirs = back.searchParams.get('code')!
  t.equal((await victim.copy().open(back)).status, 400, 'with the attacker’s state')
  t.notOk(hasSession(victim))
  const mixed = new URL(own)
  mixed.searchParams.set('code', theirs)
  const page = await victim.open(mixed)
  t.equal(page.status, 400, 'the attacker’s code fails PKCE under the victim’s state')
  t.match(page.text, 'ERR_LOGIN_UNKNOWN')
  t.notOk(hasSession(victim))
})

await t.test('a victim who is signed in stays who they are', async (t) => {
  const victim = new Visitor()
  await victim.follow(`${gateway.url}/auth/login`)
  const before = victim.cookies(gateway.url).get(session)
  const { back } = await attack()
  const answer = await victim.open(back)
  t.equal(answer.location, `${gateway.url}/`)
  t.equal(victim.cookies(gateway.url).get(session), before)
})

await t.test('an attempt’s cookie counts under its own name and for its own state', async (t) => {
  const { attacker, back } = await attack()
  const sealed = [...attacker.cookies(gateway.url).values()][0]!
  const state = back.searchParams.get('state')!
  const cases: readonly (readonly [string, string])[] = [
    [`${attempt}${'A'.repeat(8)}`, state],
    [`${attempt}${state.slice(0, 8)}`, `${state.slice(0, 8)}${'A'.repeat(35)}`],
    [`${attempt}${state.slice(0, 8)}`, state.slice(0, 8)],
    [`${attempt}${state.slice(0, 8)}`, `${state}A`],
  ]
  for (const [name, sent] of cases) {
    const url = new URL(back)
    url.searchParams.set('state', sent)
    const page = await new Visitor().open(url, { cookie: `${name}=${sealed}` })
    t.equal(page.status, 400, `${name} ${sent}`)
    t.match(page.text, 'ERR_LOGIN_UNKNOWN')
  }
})

await t.test('state, nonce and verifier are new for each attempt', async (t) => {
  const seen = new Set<string>()
  for (let i = 0; i < 20; i++) {
    const begun = await new Visitor().open(`${gateway.url}/auth/login`)
    const { searchParams } = new URL(begun.location)
    for (const name of ['state', 'nonce', 'code_challenge']) seen.add(searchParams.get(name)!)
  }
  t.equal(seen.size, 60)
})

await t.test('POST to the callback is none', async (t) => {
  const { attacker, back } = await attack()
  const answer = await attacker.submit(`${gateway.url}/auth/callback`, back.search.slice(1))
  t.equal(answer.status, 405)
  t.equal(answer.headers['allow'], 'GET')
})
