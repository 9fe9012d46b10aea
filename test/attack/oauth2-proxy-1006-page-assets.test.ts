/**
 * oauth2-proxy#1006, #490: refresh tokens that work once, a session in the cookie, and pages with forty parts. Each part
 * comes with the cookie that the browser had when it asked; one exchange serves them all, and nobody is signed out.
 */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import type { Visitor } from '../fixtures/visitor.js'

const minute = 60_000
const { provider, url, clock, names, signIn } = await stage(t, {
  provider: 'scripted',
  tokens: { rotates: true },
  upstream: true,
  api: true,
})
const exchanges = () =>
  provider.received.token.filter(({ form }) => form.get('grant_type') === 'refresh_token').length

/** A page and its parts, all asked for with the cookies of now; the jar keeps what comes, in the order of `keep`. */
async function openPage(visitor: Visitor, keep: 'first' | 'last' | 'none'): Promise<Set<number>> {
  const before = visitor.copy()
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => before.copy().fetch(`${url}/api/part-${i}`)),
  )
  const lines = answers.flatMap(({ setCookies }) => setCookies)
  const values = new Set(lines.map((line) => line.split(';')[0]!))
  t.ok(values.size <= 1, 'all answers set the same bytes')
  const [value] = keep === 'first' ? values : [...values].toReversed()
  if (value !== undefined && keep !== 'none') {
    visitor.cookies(url).set(names.session, value.slice(names.session.length + 1))
  }
  return new Set(answers.map(({ status }) => status))
}

await t.test('twenty pages in two tabs, with late parts, cost one renewal each', async (t) => {
  const visitor = await signIn()
  for (let round = 1; round <= 20; round++) {
    const late = visitor.copy()
    clock.advance(50 * minute)
    t.same(await openPage(visitor, round % 2 === 0 ? 'first' : 'last'), new Set([200]))
    t.equal(exchanges(), round, 'one exchange')
    clock.advance(minute)
    t.same(await openPage(late, 'none'), new Set([200]), 'parts that still bring the old cookie')
    t.equal(exchanges(), round, 'cause no other')
  }
  const told = await visitor.fetch(`${url}/auth/session`)
  t.equal(told.json()['user'], provider.person['username'])
})

await t.test('a browser that lost the answers of a page signs in once, and later', async (t) => {
  const visitor = await signIn()
  clock.advance(50 * minute)
  await openPage(visitor, 'none')
  const before = exchanges()
  clock.advance(9 * minute)
  t.same(await openPage(visitor, 'none'), new Set([200]))
  t.equal(exchanges(), before, 'the used token is not tried again')
  clock.advance(3 * 60 * minute)
  const page = await visitor.follow(`${url}/newticket`)
  t.equal(page.status, 200, 'by a new sign-in where nothing else is left')
})
