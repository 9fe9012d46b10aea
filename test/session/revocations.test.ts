/** What was ended stays ended, for as long as it can matter, and nothing else is. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { GatewayError } from '../../src/core/errors.js'
import { RevocationFile } from '../../src/session/revocation-file.js'
import { Revocations } from '../../src/session/revocations.js'
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
    since: start - 60_000,
  })
  const bare = identifiersOf(issuer, { sub: 'alice', iat: 5, jti: 'j', sid: 7, origin_jti: '' })
  t.match(bare, { ids: ['jti j'], namesSignIn: false, since: 5000 })
  t.equal(identifiersOf(issuer, { sub: 'alice' }).since, 0)
})

await t.test('a token that shares any identifier of the sign-in is refused', async (t) => {
  const { list } = stage()
  await list.endSignIn(identifiersOf(issuer, claimsOf({ sid: 's1' })), start + life)
  const other = { origin_jti: 'o2', sid: 's2', jti: 'j2', auth_time: 1 }
  const cases: readonly (readonly [string, object, boolean])[] = [
    ['origin_jti', { ...other, origin_jti: 'o1' }, true],
    ['sid', { ...other, sid: 's1' }, true],
    ['jti', { ...other, jti: 'j1' }, true],
    ['auth_time', { ...other, auth_time: start / 1000 - 60 }, true],
    ['nothing', other, false],
    ['nothing but the person', { ...other, sub: 'alice' }, false],
    ['auth_time of another person', { ...other, sub: 'bob', auth_time: start / 1000 - 60 }, false],
  ]
  for (const [what, more, revoked] of cases) {
    t.equal(list.isRevoked(identifiersOf(issuer, claimsOf(more)), 'x'), revoked, what)
  }
  const elsewhere = identifiersOf('https://other.example', claimsOf())
  t.equal(list.isRevoked(elsewhere, 'x'), false, 'identifiers are the issuer’s')
})

await t.test('a token that names no sign-in is judged by when it was made', async (t) => {
  const { list } = stage()
  await list.endSignIn(identifiersOf(issuer, claimsOf()), start + life)
  const nameless = (iat: number) => identifiersOf(issuer, { sub: 'alice', iat })
  t.equal(list.isRevoked(nameless(start / 1000), 'x'), true)
  t.equal(list.isRevoked(nameless(start / 1000 + 1), 'x'), false)
  t.equal(list.isRevoked(identifiersOf(issuer, { sub: 'bob', iat: 1 }), 'x'), false)
})

await t.test('a user or a person ends as a whole, up to now', async (t) => {
  const { clock, list } = stage()
  await list.endUser('Alice')
  await list.endPerson(issuer, 'bob', start + life)
  const at = (sub: string, seconds: number) =>
    identifiersOf(issuer, claimsOf({ sub, auth_time: start / 1000 + seconds, origin_jti: sub }))
  t.equal(list.isRevoked(at('x', 0), 'ALICE'), true)
  t.equal(list.isRevoked(at('x', 1), 'alice'), false)
  t.equal(list.isRevoked(at('bob', 0), 'y'), true)
  t.equal(list.isRevoked(at('bob', 1), 'y'), false)
  clock.now += 10_000
  await list.endUser('alice')
  t.equal(list.isRevoked(at('x', 1), 'alice'), true, 'a second time counts on')
})

await t.test('an entry never shrinks, and goes when it can no longer matter', async (t) => {
  const { clock, list } = stage()
  await list.endId('s', start + 1000)
  await list.endId('s', start + 500)
  clock.now = start + 900
  t.equal(list.isIdRevoked('s'), true)
  clock.now = start + 1001
  t.equal(list.isIdRevoked('s'), false)
  await list.endUser('alice')
  clock.now += life + 1
  t.equal(list.isRevoked(identifiersOf(issuer, claimsOf({ auth_time: 1 })), 'alice'), false)
})

await t.test('no issuer and identifier can read as another pair', async (t) => {
  const { list } = stage()
  await list.endIdentifier('https://a', 'sid b 1', start + life)
  t.equal(list.isRevoked({ ...identifiersOf('https://a sid', {}), ids: ['b 1'] }, 'x'), false)
  t.equal(list.isRevoked({ ...identifiersOf('https://a', {}), ids: ['sid b 1'] }, 'x'), true)
})

await t.test('each entry counts the generation on', async (t) => {
  const { list } = stage()
  const before = list.generation
  await list.endId('x', start + 1)
  t.ok(list.generation > before)
  t.equal(list.durable, false)
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
  await first.endUser('alice')
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(readFileSync(path, 'utf8').trim().split('\n').length, 3)
  now += 1000
  const second = open()
  t.equal(second.isIdRevoked('kept'), true)
  t.equal(second.isIdRevoked('short'), false)
  t.equal(second.isRevoked(identifiersOf(issuer, claimsOf()), 'alice'), true)
  t.equal(readFileSync(path, 'utf8').trim().split('\n').length, 2)
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
  })
  await t.rejects(list.endUser('alice'), { code: 'ERR_STORE_UNAVAILABLE' })
  t.equal(list.isRevoked(identifiersOf(issuer, claimsOf()), 'alice'), true, 'but it is, here')
})
