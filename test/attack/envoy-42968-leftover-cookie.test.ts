/**
 * envoy#42968, #38919, oauth2-proxy#2606: cookies that were left behind, or come from elsewhere under our names. None of
 * them breaks a session that stands beside it, and none leads in a circle.
 */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'

const { provider, upstream, url, names, signIn } = await stage(t, {
  provider: 'scripted',
  upstream: true,
})
const { session, attempt } = names
const page = `${url}/newticket`
const old = (await signIn()).cookies(url).get(session)!

/** What may lie about in a browser. */
const leftovers: readonly (readonly [
  what: string,
  cookies: readonly (readonly [string, string])[],
])[] = [
  ['a chunk', [[`${session}1`, 'junk']]],
  [
    'all chunks',
    [
      [`${session}1`, 'a'],
      [`${session}2`, 'b'],
      [`${session}3`, 'c'],
    ],
  ],
  ['a later chunk alone', [[`${session}3`, old.slice(50)]]],
  [
    'the chunks of an older session',
    [
      [`${session}1`, old.slice(0, 99)],
      [`${session}2`, old.slice(99, -1)],
    ],
  ],
  [
    'chunks that never were',
    [
      [`${session}7`, 'x'],
      [`${session}9`, 'y'],
    ],
  ],
  ['five sign-ins', Array.from({ length: 5 }, (_, i) => [`${attempt}old-${i}xx`, 'junk'] as const)],
  ['a counter that is no number', [[`${attempt}again`, 'junk']]],
  [
    'another gateway’s',
    [
      ['tg-00000000-s', old],
      ['tg-00000000-l-x', 'x'],
    ],
  ],
  [
    'another product’s',
    [
      ['RefreshToken', 'x'],
      ['BearerToken', 'x'],
      ['_oauth2_proxy', 'x'],
      ['mod_auth_openidc_session', 'x'],
    ],
  ],
]

for (const [what, cookies] of leftovers) {
  await t.test(`${what} beside a session does no harm`, async (t) => {
    const visitor = await signIn()
    for (const [name, value] of cookies) visitor.cookies(url).set(name, value)
    const answer = await visitor.open(page)
    t.equal(answer.status, 200)
    t.equal(upstream.lastHeaders()['x-trac-user'], provider.person['username'])
    t.same(answer.setCookies, [], 'and is left alone')
  })

  await t.test(`${what} without a session costs one sign-in and no more`, async (t) => {
    const visitor = new Visitor()
    for (const [name, value] of cookies) visitor.cookies(url).set(name, value)
    const before = provider.counts.authorize
    t.equal((await visitor.follow(page)).status, 200)
    t.equal(provider.counts.authorize, before + 1, 'once')
    t.equal((await visitor.open(page)).status, 200)
    t.equal(upstream.lastHeaders()['x-trac-user'], provider.person['username'])
  })
}

await t.test('our own name twice, from another path or domain, is never a circle', async (t) => {
  const visitor = new Visitor()
  const stuck = `${session}=junk`
  const open = (to: string) =>
    visitor.open(to, { cookie: [stuck, visitor.cookieHeader(to)].filter(Boolean).join('; ') })
  let answer = await open(page)
  let hops = 0
  for (; answer.location !== '' && hops < 30; hops++) {
    const isOurs = answer.location.startsWith(url)
    answer = await (isOurs ? open(answer.location) : visitor.open(answer.location))
  }
  t.ok(hops < 30, `${hops} redirects`)
  t.equal(answer.status, 400, 'a page that says what is wrong')
  t.match(answer.text, 'ERR_LOGIN_LOOP')
  t.match(answer.text, 'cookie')
})
