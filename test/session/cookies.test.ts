/** Our cookies: how they are named, found, split and deleted. */
import { t } from '../fixtures/tap.js'
import {
  deleteSession,
  foreignCookies,
  formatCookie,
  maxSessionLength,
  nameCookies,
  readCookies,
  writeSession,
} from '../../src/session/cookies.js'

const names = nameCookies('https://trac.example.edu/trac', 'https://idp.example.edu', 'trac')
const { session, attempt } = names
const pairOf = (line: string) => line.split(';')[0]!

await t.test('two gateways on one host have names of their own', (t) => {
  t.match(session, /^__Host-tg-[0-9a-f]{8}-s$/)
  t.match(attempt, /^__Host-tg-[0-9a-f]{8}-l-$/)
  const all = [
    names,
    nameCookies('https://trac.example.edu/other', 'https://idp.example.edu', 'trac'),
    nameCookies('https://trac.example.edu/trac', 'https://idp.example.edu/x', 'trac'),
    nameCookies('https://trac.example.edu/trac', 'https://idp.example.edu', 'trac2'),
  ]
  t.equal(new Set(all.map((one) => one.session)).size, 4)
  t.match(nameCookies('http://localhost:8080', 'x', 'y').session, /^tg-[0-9a-f]{8}-s$/)
  t.end()
})

await t.test(
  'attributes are the same when it is set and when it is deleted (CVE-2025-55162)',
  (t) => {
    t.equal(
      formatCookie(names, session, 'x', 60_000),
      `${session}=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure`,
    )
    t.same(deleteSession(names, [session, `${session}1`]), [
      `${session}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure`,
      `${session}1=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure`,
    ])
    const plain = nameCookies('http://localhost:8080', 'x', 'y')
    t.notMatch(formatCookie(plain, plain.session, 'x', 60_000), 'Secure')
    t.end()
  },
)

await t.test('writer and reader agree on every length up to the longest', (t) => {
  for (
    let length = 1;
    length <= maxSessionLength;
    length += length > 3700 && length < 4000 ? 1 : 61
  ) {
    const value = 'v'.repeat(length - 1) + 'w'
    const lines = writeSession(names, value, 60_000, [])
    for (const line of lines) {
      if (line.length > 4096) t.fail(`${line.length} bytes for ${length}`)
    }
    const header = lines.map(pairOf).join('; ')
    if (readCookies(header, names).session !== value) t.fail(`${length} comes back otherwise`)
  }
  t.equal(writeSession(names, 'x'.repeat(maxSessionLength), 60_000, []).length, 3)
  t.equal(writeSession(names, 'x'.repeat(3000), 60_000, []).length, 1)
  t.end()
})

await t.test('an exact multiple of what a chunk holds is that many chunks', (t) => {
  const widest = writeSession(names, 'x'.repeat(maxSessionLength), 60_000, [])
  const capacity = pairOf(widest[0]!).length - `${session}1=`.length
  t.ok(capacity > 3000)
  for (let chunks = 1; chunks * capacity <= maxSessionLength; chunks++) {
    for (const length of [chunks * capacity - 1, chunks * capacity, chunks * capacity + 1]) {
      const value = `${'v'.repeat(length - 1)}w`
      const lines = writeSession(names, value, 60_000, [])
      t.equal(lines.length, length > chunks * capacity ? chunks + 1 : chunks, `${length}`)
      for (const line of lines) t.notMatch(line, /=; /, 'none is empty')
      t.equal(readCookies(lines.map(pairOf).join('; '), names).session, value)
    }
  }
  t.end()
})

await t.test('what the browser has besides is deleted', (t) => {
  const deleted = (value: string, present: readonly string[]) =>
    writeSession(names, value, 60_000, present)
      .filter((line) => line.includes('Max-Age=0'))
      .map(pairOf)
  const chunks = [`${session}1`, `${session}2`, `${session}3`]
  t.same(
    deleted('short', chunks),
    chunks.map((name) => `${name}=`),
  )
  t.same(deleted('x'.repeat(5000), [session, ...chunks]), [`${session}=`, `${session}3=`])
  t.same(deleted('short', [session]), [])
  t.end()
})

await t.test('finds ours among others; the first of a name counts', (t) => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['', '', []],
    [`a=b; ${session}=x; c=d`, 'x', [session]],
    [`${session}=x; ${session}=y`, 'x', [session]],
    [`${session}1=a; ${session}2=b`, 'ab', [`${session}1`, `${session}2`]],
    [`${session}2=b; ${session}1=a`, 'ab', [`${session}2`, `${session}1`]],
    [`${session}1=a; ${session}3=c`, 'a', [`${session}1`, `${session}3`]],
    [`${session}2=b`, '', [`${session}2`]],
    [`${session}=x; ${session}1=a`, 'x', [session, `${session}1`]],
    [`${session}_chunks=99999999; ${session}10=x; ${session}x=y`, '', []],
    [`${session}=a=b`, 'a=b', [session]],
    [`${session.toUpperCase()}=x`, '', []],
  ]
  for (const [header, value, found] of cases) {
    const read = readCookies(header, names)
    t.equal(read.session, value, header)
    t.same(read.sessionNames, found, header)
  }
  const { attempts } = readCookies(`${attempt}a=1; x=y; ${attempt}b=2`, names)
  t.same(attempts, [
    [`${attempt}a`, '1'],
    [`${attempt}b`, '2'],
  ])
  t.end()
})

await t.test('passes on what is not ours, byte for byte where it can', (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['', ''],
    ['a=b;c=d', 'a=b;c=d'],
    ['trac_session=1; trac_form_token=2', 'trac_session=1; trac_form_token=2'],
    ['trac_auth=secret', ''],
    ['a=b; trac_auth=secret; c=d', 'a=b; c=d'],
    [`a=b; ${session}=x; ${session}9=y; ${attempt}z=1; c=d`, 'a=b; c=d'],
    [`${session}_chunks=1; a=b`, 'a=b'],
    ['xtrac_auth=1; trac_auth2=2', 'xtrac_auth=1; trac_auth2=2'],
  ]
  for (const [header, expected] of cases) t.equal(foreignCookies(header, names), expected, header)
  t.end()
})
