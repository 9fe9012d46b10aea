/** What is dropped of a client's headers, by name: every spelling that a server behind us could fold into one that counts. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { isDropped, upstreamHeaders } from '../../src/forward/request-headers.js'
import { createContext, nobody } from '../fixtures/request-context.js'

const rules = {
  host: 'trac.example.edu',
  proto: 'https',
  via: '1.1 trac-gateway',
  foreignCookies: (header: string) => header,
  legacyCookies: (header: string) => header,
  forwardAccessToken: false,
} as const
const identityHeaders = { user: 'sam', perms: 'A,B', email: '', name: '' }

function sent(lines: readonly string[], token?: string): string[] {
  const rawHeaders = lines.flatMap((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const context = createContext({
    rawHeaders,
    address: '203.0.113.5',
    id: 'id',
    traceparent: 'tp',
    identity: { ...nobody, accessToken: token },
  })
  const list = upstreamHeaders(
    context,
    rules,
    { identityHeaders, signature: 'sig', version: 1 },
    true,
  )
  return list.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${list[i + 1]}`] : []))
}

await t.test('names of any spelling that fold to x-trac-* are dropped', async (t) => {
  const letters = fc.constantFrom('x', 'X')
  const dash = fc.constantFrom('-', '_')
  const rest = fc.array(fc.constantFrom('U', 'u', 's', 'e', 'r', '-', '_', '1'), { maxLength: 8 })
  const name = fc
    .tuple(letters, dash, fc.constantFrom('trac', 'Trac', 'TRAC', 'tRaC'), dash, rest)
    .map(([x, a, trac, b, more]) => x + a + trac + b + more.join(''))
  fc.assert(
    fc.property(name, (text) => {
      if (!isDropped(text.toLowerCase())) throw new Error(text)
      if (sent([`${text}: evil`]).some((line) => line.endsWith('evil'))) throw new Error(text)
    }),
    { numRuns: 5000, seed: 12 },
  )
  t.equal(isDropped('x-trac'), false, 'what only begins alike is another name')
  t.equal(isDropped('x-tracking-id'), false)
})

await t.test('no name with an underscore passes, whatever it is', async (t) => {
  fc.assert(
    fc.property(fc.string({ maxLength: 10 }), fc.string({ maxLength: 10 }), (a, b) => {
      if (!isDropped(`${a}_${b}`.toLowerCase())) throw new Error(`${a}_${b}`)
    }),
    { numRuns: 5000, seed: 13 },
  )
  t.pass()
})

await t.test('whatever a client sends, what we say is said once and by us', async (t) => {
  const ours = sent([]).map((line) => line.slice(0, line.indexOf(':')).toLowerCase())
  const name = fc.oneof(fc.constantFrom(...ours), fc.constantFrom('Connection', 'accept', 'x-y'))
  const value = fc.oneof(fc.constantFrom(...ours), fc.constantFrom('evil', 'close', 'x-y'))
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 8 }), (pairs) => {
      const lines = sent(pairs.map(([key, text]) => `${key}: ${text}`))
      const names = lines.map((line) => line.slice(0, line.indexOf(':')).toLowerCase())
      for (const it of ours) {
        if (names.filter((other) => other === it).length !== 1)
          throw new Error(`${it} in ${names.join()}`)
      }
      if (!lines.includes('X-Trac-User: sam') || !lines.includes('Host: trac.example.edu')) {
        throw new Error(lines.join())
      }
      if (names.includes('connection')) throw new Error('a hop-by-hop field went on')
    }),
    { numRuns: 10_000, seed: 14 },
  )
  t.strictSame(ours.toSorted(), [
    ...['host', 'traceparent', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'],
    ...['x-request-id', 'x-trac-perms', 'x-trac-signature', 'x-trac-user'],
  ])
})

await t.test('e-mail and name are sent when they are known', async (t) => {
  const context = createContext({ rawHeaders: ['X-Trac-Email', 'evil'] })
  const known = { ...identityHeaders, email: 'a@b', name: 'A%20B' }
  const list = upstreamHeaders(
    context,
    rules,
    { identityHeaders: known, signature: '', version: 1 },
    true,
  )
  t.equal(list[list.indexOf('X-Trac-Email') + 1], 'a@b')
  t.equal(list[list.indexOf('X-Trac-Name') + 1], 'A%20B')
  t.notOk(list.includes('X-Trac-Signature'), 'without a key no signature')
  t.notOk(list.includes('evil'))
})

await t.test('a token goes on only where the upstream is to have it', async (t) => {
  t.notOk(sent(['Authorization: Bearer t'], 't').some((line) => line.startsWith('Authorization')))
})

await t.test('names of 31 KB are judged, and none of them stays in memory', async (t) => {
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 2000; i++) sent([`X-Trac-${i}-${'a'.repeat(31_000)}: evil`])
  const more = process.memoryUsage().heapUsed - before
  t.ok(more < 32 * 1024 * 1024, `${more} bytes more`)
  t.notOk(sent([`X-Trac-${'a'.repeat(31_000)}: evil`]).some((line) => line.endsWith('evil')))
  t.ok(sent([`X-${'a'.repeat(31_000)}: good`]).some((line) => line.endsWith('good')))
})
