/** What was ended stays ended, for as long as it can matter, and nothing else is. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import { GatewayError } from '../../src/core/errors.js'
import { RevocationFile } from '../../src/session/revocation-file.js'
import { formatRevocation, parseRevocation } from '../../src/session/revocation-log.js'
import { Revocations } from '../../src/session/revocations.js'
import { SeenPeople } from '../../src/session/seen-people.js'
import { identifiersOf } from '../../src/session/token-identifiers.js'

const issuer = 'https://idp.example.edu'
const life = 86_400_000
const start = 1_700_000_000_000

function stage() {
  const clock = { now: start }
  return { clock, list: new Revocations(() => clock.now, life, undefined) }
}
const claimsOf = (more: object = {}) => ({
  sub: 'alice',
  iat: start / 1000 - 60,
  auth_time: start / 1000 - 60,
  origin_jti: 'o1',
  jti: 'j1',
  ...more,
})

await t.test('reads how a token can be recognised', async (t) => {
  t.match(identifiersOf(issuer, claimsOf({ sid: 's1' })), {
    ids: ['origin_jti o1', 'sid s1', `auth_time alice ${start / 1000 - 60}`, 'jti j1'],
    subject: 'alice',
    namesSignIn: true,
    issuedAt: start - 60_000,
    authenticatedAt: start - 60_000,
  })
  const bare = identifiersOf(issuer, { sub: 'alice', iat: 5, jti: 'j', sid: 7, origin_jti: '' })
  t.match(bare, { ids: ['jti j'], namesSignIn: false, issuedAt: 5000, authenticatedAt: undefined })
  t.equal(identifiersOf(issuer, { sub: 'alice' }).issuedAt, 0)
})

await t.test('a token that shares any identifier of the sign-in is refused', async (t) => {
  const { list } = stage()
  await list.endSignIn(identifiersOf(issuer, claimsOf({ sid: 's1' })))
  const other = { origin_jti: 'o2', sid: 's2', jti: 'j2', auth_time: 1 }
  const second = start / 1000 - 60
  const cases: readonly (readonly [string, object, boolean])[] = [
    ['origin_jti', { ...other, origin_jti: 'o1' }, true],
    ['sid', { ...other, sid: 's1' }, true],
    ['jti', { ...other, jti: 'j1' }, true],
    ['auth_time alone', { origin_jti: undefined, jti: 'j2', auth_time: second }, true],
    ['auth_time, but another sid', { sid: 's2', jti: 'j2', auth_time: second }, false],
    ['auth_time, but another origin_jti', { ...other, auth_time: second }, false],
    ['nothing', other, false],
    ['nothing but the person', { ...other, sub: 'alice' }, false],
    ['auth_time of another person', { ...other, sub: 'bob', auth_time: second }, false],
  ]
  for (const [what, more, revoked] of cases) {
    const claims = { ...claimsOf(), origin_jti: undefined, ...more }
    t.equal(list.isRevoked(identifiersOf(issuer, claims), 'x'), revoked, what)
  }
  const elsewhere = identifiersOf('https://other.example', claimsOf())
  t.equal(list.isRevoked(elsewhere, 'x'), false, 'identifiers are the issuer’s')
})

await t.test('a sign-in that had nothing but auth_time is known by that', async (t) => {
  const { list } = stage()
  const bare = { origin_jti: undefined, jti: undefined }
  await list.endSignIn(identifiersOf(issuer, claimsOf(bare)))
  for (const more of [bare, { ...bare, jti: 'j9' }, { ...bare, sid: 's9' }]) {
    t.equal(list.isRevoked(identifiersOf(issuer, claimsOf(more)), 'x'), true)
  }
})

await t.test('a token that names no sign-in is judged by when it was made', async (t) => {
  const { list } = stage()
  await list.endSignIn(identifiersOf(issuer, claimsOf()))
  const nameless = (iat: number) => identifiersOf(issuer, { sub: 'alice', iat })
  t.equal(list.isRevoked(nameless(start / 1000), 'x'), true)
  t.equal(list.isRevoked(nameless(start / 1000 + 1), 'x'), false)
  t.equal(list.isRevoked(identifiersOf(issuer, { sub: 'bob', iat: 1 }), 'x'), false)
})

/** A session whose attempt began so many milliseconds after the start. */
const sessionAt = (after: number, claims: object = {}) => ({
  ...identifiersOf(issuer, claimsOf(claims)),
  begunAt: start + after,
})

await t.test(
  'whoever begins to sign in after a sign-out is in, whatever the session shares',
  async (t) => {
    const { clock, list } = stage()
    const before = await list.beginAttempt()
    await list.endSignIn(identifiersOf(issuer, claimsOf({ sid: 's1' })))
    const after = await list.beginAttempt()
    t.ok(after > before, 'within one millisecond')
    const shares = identifiersOf(issuer, claimsOf({ sid: 's1' }))
    t.equal(list.hasEnded({ ...shares, begunAt: before }, 'x'), true)
    t.equal(list.hasEnded({ ...shares, begunAt: after }, 'x'), false)
    clock.now -= 3_600_000
    t.ok((await list.beginAttempt()) > start, 'a clock that is set back makes nobody earlier')
    await list.endSignIn(identifiersOf(issuer, claimsOf({ sid: 's1' })))
    t.equal(list.hasEnded({ ...shares, begunAt: after }, 'x'), true, 'nor a sign-out')
  },
)

await t.test('two browsers in one second are two sign-ins', async (t) => {
  for (const [what, one, other] of [
    ['by origin_jti', { origin_jti: 'a' }, { origin_jti: 'b', jti: 'j2' }],
    ['by sid', { sid: 'a', origin_jti: undefined }, { sid: 'b', origin_jti: undefined, jti: 'j2' }],
    ['by nothing', { origin_jti: undefined }, { origin_jti: undefined, jti: 'j2' }],
  ] as const) {
    const { list } = stage()
    await list.endSignIn(identifiersOf(issuer, claimsOf(one)))
    t.equal(list.hasEnded(sessionAt(-1, one), 'x'), true, what)
    t.equal(list.hasEnded(sessionAt(-1, other), 'x'), false, what)
  }
})

await t.test(
  'a new sign-in brings tokens back that share sid or auth_time, from its own on',
  async (t) => {
    const { clock, list } = stage()
    const at = (seconds: number, more: object = {}) =>
      identifiersOf(
        issuer,
        claimsOf({
          origin_jti: undefined,
          sid: 's1',
          jti: `j${seconds}`,
          ...more,
          iat: start / 1000 + seconds,
        }),
      )
    const isRevoked = (token: ReturnType<typeof at>) => list.isRevoked(token, 'alice')
    await list.endSignIn(at(0, { jti: 'old' }))
    t.equal(isRevoked(at(9)), true, 'also one that is renewed later')
    t.equal(isRevoked(at(9, { auth_time: start / 1000 + 1 })), false, 'a password was typed since')
    const early = { ...at(5), begunAt: start }
    await list.lift(early, 'alice')
    t.equal(isRevoked(at(9)), true, 'an attempt from before lifts nothing')
    const begunAt = await list.beginAttempt()
    await list.lift({ ...at(10), begunAt }, 'alice')
    t.equal(isRevoked(at(9)), true)
    t.equal(isRevoked(at(10)), false)
    t.equal(isRevoked(at(10, { sid: undefined })), false, 'auth_time as well')
    t.equal(isRevoked(at(10, { jti: 'old' })), true, 'never by jti')
    await list.lift({ ...at(20), begunAt: (await list.beginAttempt()) + 5 }, 'alice')
    t.equal(isRevoked(at(10)), false, 'the first lift sets from when on')
    clock.now += 60_000
    await list.endSignIn(at(20))
    t.equal(isRevoked(at(70)), true, 'the next sign-out counts again')
    await list.lift({ ...at(80), begunAt: await list.beginAttempt() }, 'alice')
    t.equal(isRevoked(at(79)), true)
    t.equal(isRevoked(at(80)), false)
  },
)

await t.test('origin_jti never counts again as a token, and does as a session', async (t) => {
  const { list } = stage()
  await list.endSignIn(identifiersOf(issuer, claimsOf()))
  const later = { ...identifiersOf(issuer, claimsOf()), begunAt: await list.beginAttempt() }
  await list.lift(later, 'alice')
  t.equal(list.isRevoked(identifiersOf(issuer, claimsOf({ iat: start / 1000 + 60 })), 'x'), true)
  t.equal(list.hasEnded(later, 'alice'), false)
})

await t.test('a user or a subject ends as a whole, up to now and the tolerance', async (t) => {
  for (const [what, end] of [
    ['user', (list: Revocations, before: number) => list.endUser('Alice', before)],
    ['subject', (list: Revocations, before: number) => list.endPerson(issuer, 'alice', before)],
  ] as const) {
    const { list } = stage()
    await end(list, start + 30_000)
    const at = (iat: number, auth_time?: number) =>
      identifiersOf(issuer, {
        sub: 'alice',
        iat: start / 1000 + iat,
        origin_jti: 'x',
        ...(auth_time === undefined ? {} : { auth_time: start / 1000 + auth_time }),
      })
    const isRevoked = (token: ReturnType<typeof at>) => list.isRevoked(token, 'ALICE')
    t.equal(isRevoked(at(30)), true, `${what}: the provider's clock may be ahead`)
    t.equal(isRevoked(at(31)), false)
    t.equal(isRevoked(at(300, -60)), true, 'renewed later from a sign-in of before')
    t.equal(list.hasEnded(sessionAt(0), 'ALICE'), true)
    const begunAt = await list.beginAttempt()
    const session = { ...at(25, -60), begunAt }
    t.equal(list.hasEnded(session, 'alice'), false, 'what comes is not ended')
    await list.lift(session, 'alice')
    t.equal(isRevoked(at(25, -60)), false, 'and its tokens count')
    t.equal(isRevoked(at(24, -60)), true)
  }
})

await t.test('the word of a provider may come late', async (t) => {
  const { clock, list } = stage()
  clock.now += 120_000
  await list.endByProvider(issuer, { subject: 'alice' }, start)
  await list.endByProvider(issuer, { sid: 's2' }, start)
  const session = (begun: number, iat: number, more: object = {}) =>
    sessionAt(begun, { iat: start / 1000 + iat, auth_time: 1, ...more })
  t.equal(list.hasEnded(session(-1000, 0), 'x'), true, 'in the same second')
  t.equal(list.hasEnded(session(1000, 1), 'x'), false, 'signed in since')
  t.equal(list.hasEnded(session(130_000, 0), 'x'), false, 'by a clock that is behind')
  const bySid = { sub: 'bob', sid: 's2' }
  t.equal(list.hasEnded(session(-1000, 0, bySid), 'x'), true)
  t.equal(list.hasEnded(session(1000, 1, bySid), 'x'), false)
  const token = (claims: object) =>
    list.isRevoked(identifiersOf(issuer, { iat: start / 1000 + 60, ...claims }), 'x')
  t.equal(token({ sub: 'bob', sid: 's2' }), true)
  t.equal(token({ sub: 'bob', sid: 's2', auth_time: start / 1000 + 1 }), false)
  t.equal(token({ sub: 'alice', auth_time: start / 1000 }), true)
  t.equal(token({ sub: 'alice' }), false)
  await list.endSignIn(identifiersOf(issuer, claimsOf({ sid: 's2', sub: 'bob' })))
  t.equal(list.hasEnded(session(1000, 1, bySid), 'x'), true, 'a sign-out here means all of it')
})

await t.test('an entry never shrinks, and goes when it can no longer matter', async (t) => {
  const { clock, list } = stage()
  await list.endId('s', start + 1000)
  await list.endId('s', start + 500)
  clock.now = start + 900
  t.equal(list.isIdRevoked('s'), true)
  clock.now = start + 1001
  t.equal(list.isIdRevoked('s'), false)
  await list.endUser('alice', start)
  clock.now += life + 1
  t.equal(list.isRevoked(identifiersOf(issuer, claimsOf({ auth_time: 1 })), 'alice'), false)
})

await t.test('no issuer and identifier can read as another pair', async (t) => {
  const { list } = stage()
  await list.endByProvider('https://a', { sid: 'b 1' }, start)
  t.equal(list.isRevoked({ ...identifiersOf('https://a sid', {}), ids: ['b 1'] }, 'x'), false)
  t.equal(list.isRevoked({ ...identifiersOf('https://a', {}), ids: ['sid b 1'] }, 'x'), true)
})

await t.test('each entry and each lift counts the generation on', async (t) => {
  const { list } = stage()
  const first = list.generation
  await list.endUser('alice', start)
  const second = list.generation
  t.ok(second > first)
  await list.lift({ ...sessionAt(0), begunAt: await list.beginAttempt() }, 'alice')
  t.ok(list.generation > second)
  t.equal(list.durable, false)
})

await t.test('a line says the same again, and release 0.1 reads its first three parts', (t) => {
  const whole = {
    key: 'k',
    before: 5,
    until: 10,
    at: 7,
    issuedBy: 6,
    told: ['sid'],
  }
  for (const one of [whole, { key: 'k', before: undefined, until: 10, at: 0 }]) {
    const line = formatRevocation(one)
    t.same(parseRevocation(line, 99), one)
    t.same((JSON.parse(line) as unknown[]).slice(0, 3), [one.key, one.until, one.before ?? 0])
  }
  t.same(parseRevocation('["k",10,0]', 99), { key: 'k', before: undefined, until: 10, at: 99 })
  t.same(parseRevocation('["k",10,5]', 99), { key: 'k', before: 5, until: 10, at: 5 })
  const damaged = ['[]', '"k"', 'null', '["k"]', '["k","10",0]', '["k",1e999,0]', '[7,10,0]']
  for (const line of [...damaged, '["k",10,0,null,7]', '["k",10,0,5,{"told":["sid",7]}]']) {
    t.throws(() => parseRevocation(line, 99), /cannot be read/, line)
  }
  t.end()
})

await t.test('a file keeps them, for the owner alone, and forgets what is over', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'revocations')
  let now = start
  const open = () => new Revocations(() => now, life, new RevocationFile(path, () => now))
  const first = open()
  t.equal(first.durable, true)
  await first.endId('kept', start + 10_000)
  await first.endId('short', start + 10)
  await first.endUser('alice', start)
  const early = { ...sessionAt(0), begunAt: await first.beginAttempt() }
  await first.lift(early, 'alice')
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(readFileSync(path, 'utf8').trim().split('\n').length, 4)
  now += 1000
  const second = open()
  t.equal(second.isIdRevoked('kept'), true)
  t.equal(second.isIdRevoked('short'), false)
  const token = (iat: number) => identifiersOf(issuer, claimsOf({ iat: start / 1000 + iat }))
  t.equal(second.isRevoked(token(-61), 'alice'), true)
  t.equal(second.isRevoked(token(-60), 'alice'), false, 'a lift is kept as well')
  t.equal(second.hasEnded(early, 'alice'), false)
  t.ok((await second.beginAttempt()) > early.begunAt)
  t.equal(readFileSync(path, 'utf8').trim().split('\n').length, 3)
  t.notOk(existsSync(`${path}.new`))
  await second.endId('later', start + 10_000)
  t.equal(open().isIdRevoked('later'), true)
  writeFileSync(path, 'nonsense\n')
  t.throws(open, 'rather no start than a sign-out forgotten')
})

await t.test('what cannot be written down is not said to be over', async (t) => {
  const list = new Revocations(() => start, life, {
    start: () => undefined,
    append: () => Promise.reject(new GatewayError('ERR_STORE_UNAVAILABLE')),
    catchUp: () => undefined,
    readNow: () => Promise.resolve(),
    time: () => Promise.reject(new GatewayError('ERR_STORE_UNAVAILABLE')),
  })
  await t.rejects(list.endUser('alice', start), { code: 'ERR_STORE_UNAVAILABLE' })
  t.equal(list.isRevoked(identifiersOf(issuer, claimsOf()), 'alice'), true, 'but it is, here')
})

await t.test('a full list takes no more and forgets nothing, and says how many', async (t) => {
  const clock = { now: start }
  const told: (number | string)[] = []
  const list = new Revocations(() => clock.now, life, undefined, {
    max: 100,
    onDropped: (count) => told.push(count),
    onPlace: () => told.push('place'),
  })
  for (let i = 0; i < 50; i++) await list.endId(`short-${i}`, start + 1000)
  for (let i = 0; i < 50; i++) await list.endId(`long-${i}`, start + life)
  clock.now += 2000
  await list.endId('one more', start + life)
  t.strictSame(told, [], 'what had run out made way')
  for (let i = 0; i < 49; i++) await list.endId(`more-${i}`, start + life)
  const full = { code: 'ERR_REVOCATIONS_FULL', status: 503 }
  await t.rejects(list.endId('too many', start + life), full)
  const signedOut = identifiersOf(issuer, claimsOf())
  await t.rejects(list.endSignIn(signedOut), full)
  t.strictSame(told, [1, 4])
  t.equal(list.isRevoked(signedOut, 'x'), false, 'and none of it is kept')
  await list.endId('more-1', start + life)
  t.equal(list.isIdRevoked('long-0'), true, 'the oldest stays')
  t.equal(list.isIdRevoked('more-48'), true)
  clock.now += life
  await list.endSignIn(signedOut)
  t.equal(list.isRevoked(signedOut, 'x'), true)
  t.strictSame(told.slice(2), ['place'])
})

await t.test('a full list has a place for an operator, and tells when that is full', async (t) => {
  const list = new Revocations(() => start, life, undefined, { max: 100 })
  for (let i = 0; i < 100; i++) await list.endId(`id-${i}`, start + life)
  await list.endUser('alice', start)
  t.equal(list.isRevoked(identifiersOf(issuer, claimsOf()), 'alice'), true)
  await t.rejects(list.endPerson(issuer, 'alice', start), { code: 'ERR_REVOCATIONS_FULL' })
})

await t.test(
  'a lift that finds no place keeps tokens refused, and the new session good',
  async (t) => {
    const clock = { now: start }
    const list = new Revocations(() => clock.now, life, undefined, { max: 100 })
    const signIn = identifiersOf(issuer, claimsOf({ sid: 's1' }))
    await list.endSignIn(signIn)
    for (let i = 0; i < 100; i++) await list.endId(`id-${i}`, start + life).catch(() => undefined)
    clock.now += 5000
    const begunAt = await list.beginAttempt()
    const issuedAt = clock.now
    const renewed = {
      ...identifiersOf(issuer, claimsOf({ sid: 's1', origin_jti: 'o2', jti: 'j2' })),
    }
    await list.lift({ ...renewed, issuedAt, begunAt }, 'alice')
    t.equal(list.isRevoked({ ...renewed, issuedAt }, 'alice'), true)
    t.equal(list.hasEnded({ ...renewed, issuedAt, begunAt }, 'alice'), false)
  },
)

await t.test('what others wrote is bounded in memory as well', async (t) => {
  const dropped: number[] = []
  let learn: (line: string, at: number) => void = () => undefined
  const log = {
    start: (next: typeof learn) => void (learn = next),
    append: () => Promise.resolve(),
    catchUp: () => undefined,
    readNow: () => Promise.resolve(),
    time: () => Promise.resolve(start),
  }
  const list = new Revocations(() => start, life, log, {
    max: 100,
    onDropped: (count) => dropped.push(count),
  })
  for (let i = 0; i < 103; i++) learn(JSON.stringify([`id x-${i}`, start + life, 0, start]), start)
  t.strictSame(dropped, [1, 1])
  t.equal(list.isIdRevoked('x-1'), false)
  t.equal(list.isIdRevoked('x-102'), true)
})

await t.test('a name is one however it is spelled, as whose name is whose says', async (t) => {
  const lines: string[] = []
  const log = {
    start: (learn: (line: string, at: number) => void) => {
      // Release 0.1 folded by lower case alone.
      learn(JSON.stringify(['user weiß', start + life, start, start]), start)
    },
    append: (line: string) => Promise.resolve(void lines.push(line)),
    catchUp: () => undefined,
    readNow: () => Promise.resolve(),
    time: () => Promise.resolve(start),
  }
  const list = new Revocations(() => start, life, log)
  await list.endUser('Straße', start)
  const token = identifiersOf(issuer, claimsOf())
  for (const name of ['Straße', 'STRASSE', 'STRAẞE', 'strasse', 'weiß', 'WEISS']) {
    t.equal(list.isRevoked(token, name), true, name)
  }
  t.equal(list.isRevoked(token, 'strase'), false)
  const keys = lines.map((line) => (JSON.parse(line) as string[])[0])
  t.same(keys, ['user strasse', 'user straße'], 'release 0.1 finds it, too')
  const seen = new SeenPeople()
  seen.note('Straße', { issuer, subject: 's1' })
  t.match(seen.subjectsOf('STRASSE'), [{ subject: 's1' }])
})

await t.test('the file is written anew while it is in use', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'revocations')
  const clock = { now: start }
  const fill = Array.from({ length: 10_100 }, (_, i) => `["id old-${i}",${start + 5000},0,0]\n`)
  writeFileSync(path, fill.join(''))
  const open = () =>
    new Revocations(() => clock.now, life, new RevocationFile(path, () => clock.now))
  const list = open()
  await list.endId('kept', start + life)
  clock.now += 61_000
  await list.endId('later', start + life)
  t.ok(readFileSync(path, 'utf8').split('\n').length < 5, 'what had run out is gone')
  await list.endId('last', start + life)
  const again = open()
  for (const id of ['kept', 'later', 'last']) t.ok(again.isIdRevoked(id), id)
  t.notOk(again.isIdRevoked('old-1'))
})
