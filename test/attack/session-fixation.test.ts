/** Session fixation and replay: a planted or a destroyed session is of no use (CVE-2023-29019, CVE-2024-31999, CVE-2026-34454). */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'

const s = await stage(t, { provider: 'cognito', upstream: true, api: true })
const { provider, clock, url, alice: attacker, sam: victim } = s
const { session } = s.names
const login = `${url}/auth/login`
const userOf = async (visitor: Visitor) => {
  const answer = await visitor.copy().fetch(`${url}/auth/session`)
  return answer.status === 200 ? answer.json()['user'] : answer.status
}

await t.test('a session planted before sign-in does not become the victim’s', async (t) => {
  const theirs = await s.signIn(attacker)
  const planted = theirs.cookies(url).get(session)!
  const visitor = new Visitor()
  visitor.cookies(url).set(session, planted)
  await visitor.signIn(`${login}?prompt=login`, victim)
  t.equal(await userOf(visitor), 'sam')
  t.not(visitor.cookies(url).get(session), planted)
  t.equal(await userOf(theirs), 401, 'the sign-in ended what it replaced, the attacker’s copy too')
})

await t.test('a session that ended stays ended, by every value that it had', async (t) => {
  const visitor = await s.signIn(victim)
  const copies = [visitor.copy()]
  for (let i = 0; i < 2; i++) {
    clock.advance(50 * 60_000)
    await visitor.fetch(`${url}/api/x`)
    copies.push(visitor.copy())
  }
  t.equal(new Set(copies.map((copy) => copy.cookies(url).get(session))).size, 3)
  const before = provider.counts.token
  await visitor.submit(`${url}/auth/logout`)
  for (const copy of copies) t.equal(await userOf(copy), 401)
  clock.advance(50 * 60_000)
  for (const copy of copies) {
    t.equal(await userOf(copy), 401)
    const headers = { origin: s.origin }
    const renewal = await copy.fetch(`${url}/auth/refresh`, { method: 'POST', headers })
    t.equal(renewal.status, 401, 'nor can it be renewed')
  }
  t.equal(provider.counts.token, before, 'the provider is not even asked')
})

await t.test('a callback that comes again after sign-out brings no session back', async (t) => {
  const visitor = new Visitor()
  const back = await visitor.signIn(login, victim, (to) => to.pathname.endsWith('/callback'))
  const before = visitor.copy()
  await visitor.open(back.location)
  await visitor.submit(`${url}/auth/logout`)
  await before.open(back.location)
  t.equal(await userOf(before), 401)
})
