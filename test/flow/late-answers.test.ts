/** An answer that comes late leaves its browser alone if that has signed in anew meanwhile (deploy/docs/sessions.md#renewal). */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'

const minute = 60_000
const day = 24 * 60 * minute
const { upstream, clock, gateway, url, names, signIn } = await stage(t, {
  provider: 'scripted',
  tokens: {},
  upstream: 'held',
  api: true,
  overlay: { routes: [{ name: 'api', path: '/api/**', upstream: 'api', access: 'optional' }] },
})
const isCallback = (to: URL) => to.pathname.endsWith('/auth/callback')
const value = (visitor: Visitor) => visitor.cookies(url).get(names.session)
/** Whatever the answer says of the session cookie. */
const says = (answer: Answer) =>
  answer.setCookies.filter((line) => line.startsWith(`${names.session}=`))

/** Sends a request that the upstream holds back; its answer is looked at, not kept. */
let number = 0
async function hold(visitor: Visitor) {
  const path = `/trac/api/held/${++number}`
  const answer = visitor.copy().fetch(new URL(path, url), { keep: false })
  const letGo = await upstream.arrived(path)
  return async () => {
    letGo()
    return answer
  }
}

for (const wait of [0, 5000]) {
  await t.test(
    `a late answer leaves the browser alone if another one deleted the dead cookie ${wait} ms before`,
    async (t) => {
      const visitor = await signIn()
      clock.advance(8 * day)
      const release = await hold(visitor)
      const other = await visitor.fetch(`${url}/api/quick`)
      t.match(says(other), [/Max-Age=0/])
      t.equal(value(visitor), undefined)
      await visitor.follow(`${url}/auth/login`)
      t.ok(value(visitor))
      clock.advance(wait)
      const late = await release()
      t.equal(late.status, 200)
      t.strictSame(says(late), [])
    },
  )
}

await t.test(
  'a late answer leaves the browser alone if it brought the dead cookie to its new sign-in',
  async (t) => {
    const visitor = await signIn()
    const back = await visitor.follow(`${url}/auth/login?prompt=login`, isCallback)
    const { sessions } = gateway.gateway.services
    await sessions.end((await sessions.peek(value(visitor)!))!)
    const release = await hold(visitor)
    const dead = value(visitor)
    const landed = await visitor.open(back.location)
    t.equal(landed.status, 303)
    t.not(value(visitor), dead)
    const late = await release()
    t.strictSame(says(late), [])
  },
)

await t.test('a slow answer that finds a dead cookie leaves it to the next answer', async (t) => {
  const visitor = await signIn()
  clock.advance(8 * day)
  const quick = await hold(visitor)
  t.match(says(await quick()), [/Max-Age=0/], 'a quick one does')
  const other = await signIn()
  clock.advance(8 * day)
  const release = await hold(other)
  clock.advance(1001)
  t.strictSame(says(await release()), [], 'a slow one leaves it to the next')
  t.match(says(await other.fetch(`${url}/api/quick`)), [/Max-Age=0/])
})

await t.test('a session that another sign-in has superseded is not written again', async (t) => {
  const visitor = await signIn()
  clock.advance(50 * minute)
  const release = await hold(visitor)
  await visitor.follow(`${url}/auth/login?prompt=login`)
  const fresh = value(visitor)
  const late = await release()
  t.equal(late.status, 200)
  t.strictSame(says(late), [])
  t.equal((await visitor.fetch(`${url}/auth/session`)).status, 200)
  t.equal(value(visitor), fresh)
})

await t.test('a callback that is sent twice supersedes no session', async (t) => {
  const visitor = new Visitor()
  const back = await visitor.follow(`${url}/auth/login`, isCallback)
  await visitor.open(back.location)
  await visitor.open(back.location)
  clock.advance(50 * minute)
  const renewed = await visitor.fetch(`${url}/api/quick`)
  t.equal(says(renewed).length, 1, 'the session goes on being renewed')
})
