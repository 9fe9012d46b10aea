/** A sign-in attempt belongs to one browser, for ten minutes, and there are few of them. */
import { createHash } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import { nameCookies } from '../../src/session/cookies.js'
import { createSealer } from '../../src/session/sealer.js'
import { LoginStates } from '../../src/sign-in/login-state.js'
import { sealContext } from '../fixtures/rotating-provider.js'

const { publicUrl, issuer, clientId } = sealContext
const names = nameCookies(publicUrl, issuer, clientId)
const minute = 60_000

function stage() {
  const clock = { now: 1_700_000_000_000 }
  const sealer = createSealer('login', sealContext)
  const now = () => clock.now
  const revocations = { beginAttempt: () => Promise.resolve(clock.now) }
  const parts = { sealer, names, issuer, now, revocations }
  return { clock, sealer, parts, attempts: new LoginStates(parts) }
}

/** What a browser sends back of the cookies that it got. */
const returned = (lines: readonly string[]): [string, string][] =>
  lines
    .filter((line) => !line.includes('Max-Age=0;'))
    .map((line) => line.split(';')[0]!.split('=') as [string, string])

await t.test('the browser that began an attempt finds it again', async (t) => {
  const { attempts } = stage()
  const { attempt, cookies } = await attempts.start('/wiki', [])
  t.same(await attempts.find(attempt.state, returned(cookies)), attempt)
})

await t.test(
  'state, nonce and verifier are random, and the challenge is the verifier’s',
  async (t) => {
    const { attempts } = stage()
    const started = await Promise.all([1, 2, 3].map(() => attempts.start('/', [])))
    const values = started.flatMap(({ attempt }) => [
      attempt.state,
      attempt.nonce,
      attempt.verifier,
    ])
    t.equal(new Set(values).size, 9)
    for (const value of values) t.match(value, /^[A-Za-z0-9_-]{43}$/, '256 bits')
    for (const { attempt, codeChallenge } of started) {
      const expected = createHash('sha256').update(attempt.verifier).digest('base64url')
      t.equal(codeChallenge, expected, 'S256 of RFC 7636 §4.2')
    }
  },
)

await t.test('another browser, another state and another issuer find nothing', async (t) => {
  const { attempts, parts } = stage()
  const { attempt, cookies } = await attempts.start('/', [])
  const present = returned(cookies)
  t.equal(await attempts.find(attempt.state, []), undefined)
  t.equal(await attempts.find(`${attempt.state.slice(0, 8)}${'A'.repeat(35)}`, present), undefined)
  t.equal(await attempts.find(attempt.state, [[present[0]![0], 'made-up']]), undefined)
  const elsewhere = new LoginStates({ ...parts, issuer: 'https://other.example' })
  t.equal(await elsewhere.find(attempt.state, present), undefined)
})

await t.test('an attempt ends after ten minutes, whatever the browser still sends', async (t) => {
  const { attempts, clock } = stage()
  const { attempt, cookies } = await attempts.start('/', [])
  t.match(cookies.at(-1), /Max-Age=600;/)
  clock.now += 10 * minute
  t.ok(await attempts.find(attempt.state, returned(cookies)))
  clock.now++
  t.equal(await attempts.find(attempt.state, returned(cookies)), undefined)
})

await t.test('of six attempts the oldest is dropped', async (t) => {
  const { attempts } = stage()
  const present: [string, string][] = []
  for (let i = 0; i < 5; i++) {
    const { cookies } = await attempts.start('/', present)
    t.equal(cookies.length, 1)
    present.push(...returned(cookies))
  }
  const { cookies } = await attempts.start('/', present)
  t.equal(cookies.length, 2)
  t.match(cookies[0], `${present[0]![0]}=; Path=/; Max-Age=0;`)
})
