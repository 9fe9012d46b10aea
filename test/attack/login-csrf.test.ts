/** Login CSRF: nobody signs somebody else in as themselves (CVE-2017-1000069/1000070, CVE-2023-31999). */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'

const { url, names, signIn } = await stage(t, {
  provider: 'scripted',
  upstream: true,
})
const { session, attempt } = names
const isCallback = (to: URL) => to.pathname.endsWith('/callback')
const hasSession = (visitor: Visitor) => visitor.cookies(url).has(session)

/** The attacker's own callback address, fresh and unused, and the cookies of their attempt. */
async function attack() {
  const attacker = new Visitor()
  const back = await attacker.follow(`${url}/auth/login`, isCallback)
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

await t.test(
  'a callback of another browser does not mix with a sign-in of one’s own',
  async (t) => {
    const { back } = await attack()
    const victim = new Visitor()
    const own = new URL((await victim.follow(`${url}/auth/login`, isCallback)).location)
    const theirs = back.searchParams.get('code')!
    t.equal((await victim.copy().open(back)).status, 400, 'with the attacker’s state')
    t.notOk(hasSession(victim))
    const mixed = new URL(own)
    mixed.searchParams.set('code', theirs)
    const page = await victim.open(mixed)
    t.equal(page.status, 400, 'the attacker’s code fails PKCE under the victim’s state')
    t.match(page.text, 'ERR_LOGIN_UNKNOWN')
    t.notOk(hasSession(victim))
  },
)

await t.test('a victim who is signed in stays who they are', async (t) => {
  const victim = await signIn()
  const before = victim.cookies(url).get(session)
  const { back } = await attack()
  const answer = await victim.open(back)
  t.equal(answer.location, `${url}/`)
  t.equal(victim.cookies(url).get(session), before)
})

await t.test('the cookie of an attempt counts for its own name and state alone', async (t) => {
  const { attacker, back } = await attack()
  const sealed = [...attacker.cookies(url).values()][0]!
  const state = back.searchParams.get('state')!
  const cases: readonly (readonly [string, string])[] = [
    [`${attempt}${'A'.repeat(8)}`, state],
    [`${attempt}${state.slice(0, 8)}`, `${state.slice(0, 8)}${'A'.repeat(35)}`],
    [`${attempt}${state.slice(0, 8)}`, state.slice(0, 8)],
    [`${attempt}${state.slice(0, 8)}`, `${state}A`],
  ]
  for (const [name, sent] of cases) {
    const there = new URL(back)
    there.searchParams.set('state', sent)
    const page = await new Visitor().open(there, { cookie: `${name}=${sealed}` })
    t.equal(page.status, 400, `${name} ${sent}`)
    t.match(page.text, 'ERR_LOGIN_UNKNOWN')
  }
})

await t.test('state, nonce and verifier are new for each attempt', async (t) => {
  const seen = new Set<string>()
  for (let i = 0; i < 20; i++) {
    const begun = await new Visitor().open(`${url}/auth/login`)
    const { searchParams } = new URL(begun.location)
    for (const name of ['state', 'nonce', 'code_challenge']) seen.add(searchParams.get(name)!)
  }
  t.equal(seen.size, 60)
})

await t.test('POST to the callback is refused with 405', async (t) => {
  const { attacker, back } = await attack()
  const answer = await attacker.submit(`${url}/auth/callback`, back.search.slice(1))
  t.equal(answer.status, 405)
  t.equal(answer.headers['allow'], 'GET')
})
