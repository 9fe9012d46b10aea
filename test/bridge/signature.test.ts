/** A signature holds for one request only: nothing in it, and nothing it was made for, can be changed. */
import { createHmac } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { identityHeaders, now, send, sendRaw, student } from '../fixtures/signed.js'
import type { Answer, Call, Header } from '../fixtures/signed.js'
import { both, setIni, startFixture, testKey } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

const page: Call = { target: '/wiki/WikiStart?a=1', from: student }

/** `headers` with the value of one changed. */
function changed(
  headers: readonly Header[],
  name: string,
  change: (value: string) => string,
): Header[] {
  return headers.map(([key, value]) => [key, key === name ? change(value) : value])
}

const inSignature = (pattern: RegExp, by: string) => (headers: readonly Header[]) =>
  changed(headers, 'X-Trac-Signature', (value) => value.replace(pattern, by))

const without = (name: string) => (headers: readonly Header[]) =>
  headers.filter(([key]) => key !== name)

const set = (name: string, value: string) => (headers: readonly Header[]) =>
  changed(headers, name, () => value)

const added =
  (name: string, value: string) =>
  (headers: readonly Header[]): Header[] => [...headers, [name, value]]

type Change = (headers: readonly Header[]) => Header[]

const person: Call['from'] = { ...student, email: 'sam@example.edu', name: 'Sam Student' }

/** What is done to the headers, and the cause that the page gives. */
const tampered: readonly (readonly [name: string, change: Change, cause: string])[] = [
  ['another user', set('X-Trac-User', 'ada'), 'is not valid for this request'],
  ['the user in capitals', set('X-Trac-User', 'SAM'), 'is not valid for this request'],
  ['the user spelled otherwise', set('X-Trac-User', '%73am'), 'is not valid for this request'],
  ['no user', without('X-Trac-User'), 'is not valid for this request'],
  ['another permission', set('X-Trac-Perms', 'TRAC_ADMIN'), 'is not valid for this request'],
  ['no permissions', without('X-Trac-Perms'), 'is not valid for this request'],
  [
    'another e-mail address',
    set('X-Trac-Email', 'eve@example.edu'),
    'is not valid for this request',
  ],
  ['no e-mail address', without('X-Trac-Email'), 'is not valid for this request'],
  ['another name', set('X-Trac-Name', 'Eve'), 'is not valid for this request'],
  ['no name', without('X-Trac-Name'), 'is not valid for this request'],
  ['another version', inSignature(/^v1/, 'v2'), 'is not valid for this request'],
  ['a version that is none', inSignature(/^v1/, 'v3'), 'is malformed'],
  ['another t', inSignature(/t=\d+/, 't=1'), 'is not valid for this request'],
  ['a t with a sign', inSignature(/t=/, 't=+'), 'is malformed'],
  ['a t with other digits', inSignature(/t=\d/, 't=\u00b2'), 'is malformed'],
  ['another e', inSignature(/e=\d+/, 'e=9999999999'), 'is not valid for this request'],
  ['another nonce', inSignature(/n=.{22}/, `n=${'A'.repeat(22)}`), 'is not valid for this request'],
  ['a short nonce', inSignature(/n=./, 'n='), 'is malformed'],
  ['an unknown kid', inSignature(/kid=[^;]*/, 'kid=other'), 'a key that is not in the key file'],
  ['no kid', inSignature(/kid=[^;]*/, 'kid='), 'is malformed'],
  ['a long kid', inSignature(/kid=[^;]*/, `kid=${'k'.repeat(33)}`), 'is malformed'],
  [
    'another sig',
    inSignature(/sig=.{43}/, `sig=${'A'.repeat(43)}`),
    'is not valid for this request',
  ],
  ['a padded sig', inSignature(/$/, '='), 'is malformed'],
  ['a sig that is cut', inSignature(/.$/, ''), 'is malformed'],
  ['more behind it', inSignature(/$/, ';x=1'), 'is malformed'],
  ['blanks in it', inSignature(/;/g, '; '), 'is malformed'],
  ['its parts in another order', inSignature(/(t=\d+);(e=\d+)/, '$2;$1'), 'is malformed'],
  ['no signature', without('X-Trac-Signature'), 'has no X-Trac-Signature'],
  ['another host', added('Host', 'elsewhere.example'), 'is not valid for this request'],
]

const told: Call['from'] = { ...person, groups: ['students', 'élèves'], kind: 'bearer' }

/** The same for what version 2 tells besides. */
const tamperedTold: readonly (readonly [name: string, change: Change, cause: string])[] = [
  ['another group', set('X-Trac-Groups', 'admins'), 'is not valid for this request'],
  ['one more group', added('X-Trac-Groups', 'admins'), 'is not valid for this request'],
  ['no groups', without('X-Trac-Groups'), 'is not valid for this request'],
  ['another kind', set('X-Trac-Kind', 'session'), 'is not valid for this request'],
  ['no kind', without('X-Trac-Kind'), 'is not valid for this request'],
  ['the version before', inSignature(/^v2/, 'v1'), 'is not valid for this request'],
]

/** The last character of base64url has two unused bits: four spellings of one signature, one of them right. */
function respelled(signature: string): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = letters.indexOf(signature.slice(-1))
  return signature.slice(0, -1) + letters.charAt(last ^ 1)
}

/** What only a gateway with a mistake in it would sign: the headers of a GET of `/about`, as deploy/docs/reference/identity-headers.md has them. */
function signedByHand(
  fixture: Fixture,
  claimed: { readonly user?: string; readonly perms?: string },
  lifetime: number,
): Header[] {
  const { user = 'sam', perms = 'WIKI_VIEW' } = claimed
  const signed = now()
  const nonce = 'AAAAAAAAAAAAAAAAAAAAAA'
  const fields = ['trac-gateway-v1', testKey.id, String(signed), String(signed + lifetime), nonce]
  fields.push('GET', fixture.host, '/about', '', user, perms, '', '')
  const text = fields.map((field) => `${Buffer.byteLength(field)}:${field}\n`).join('')
  const sig = createHmac('sha256', testKey.secret).update(text).digest('base64url')
  const times = `t=${signed};e=${signed + lifetime}`
  return [
    ['X-Trac-User', user],
    ['X-Trac-Perms', perms],
    ['X-Trac-Signature', `v1;${times};n=${nonce};kid=${testKey.id};sig=${sig}`],
  ]
}

function refuses(t: Test, answer: Answer, cause: string, message: string): void {
  t.equal(answer.status, 403, message)
  t.ok(answer.body.includes(cause), `${message}: says why`)
}

for (const server of both) {
  const fixture = await startFixture(t, server)
  await t.test(`${server} refuses a request whose headers were changed`, async (t) => {
    for (const [name, change, cause] of tampered) {
      const call = { ...page, from: person }
      refuses(t, await sendRaw(fixture, call, change(identityHeaders(fixture, call))), cause, name)
    }
    for (const [name, change, cause] of tamperedTold) {
      const call = { ...page, from: told }
      refuses(t, await sendRaw(fixture, call, change(identityHeaders(fixture, call))), cause, name)
    }
    t.equal((await send(fixture, { ...page, from: told })).status, 200)
    const headers = identityHeaders(fixture, page)
    const again = changed(headers, 'X-Trac-Signature', respelled)
    refuses(
      t,
      await sendRaw(fixture, page, again),
      'is not valid for this request',
      'another spelling',
    )
    t.equal((await sendRaw(fixture, page, headers)).status, 200, 'and takes it unchanged')
  })

  await t.test(`${server} refuses a signature made for another request`, async (t) => {
    const others: readonly (readonly [string, Call['signed']])[] = [
      ['method', { method: 'HEAD' }],
      ['method in small letters', { method: 'get' }],
      ['host', { host: '127.0.0.1' }],
      ['path', { path: '/wiki/Rules' }],
      ['path with a slash', { path: '/wiki/WikiStart/' }],
      ['path in capitals', { path: '/WIKI/WikiStart' }],
      ['query', { query: 'a=2' }],
      ['query without', { query: '' }],
      ['query spelled otherwise', { query: '%61=1' }],
      ['query and path meeting elsewhere', { path: '/wiki/WikiStart?', query: 'a=1' }],
    ]
    for (const [name, signed] of others) {
      refuses(
        t,
        await send(fixture, { ...page, signed: signed ?? {} }),
        'is not valid for this request',
        name,
      )
    }
    const key = { id: 'test-1', secret: 'Another-secret-that-has-the-same-kid-as-ours' }
    refuses(
      t,
      await send(fixture, { ...page, key }),
      'is not valid for this request',
      'another secret',
    )
    const slash = { target: '/wiki/a%2Fb', from: student, signed: { path: '/wiki/a%2Fb' } }
    refuses(
      t,
      await send(fixture, slash),
      'is not valid for this request',
      'a path that was not decoded',
    )
  })

  await t.test(`${server} refuses a signature that is too old or from the future`, async (t) => {
    const cases: readonly (readonly [string, number, string | undefined])[] = [
      ['a minute and a half and more ago', -120, 'has expired'],
      ['an hour ago', -3600, 'has expired'],
      ['within the tolerance, late', -80, undefined],
      ['within the tolerance, early', 20, undefined],
      ['from the future', 45, 'comes from the future'],
    ]
    for (const [name, offset, cause] of cases) {
      const answer = await send(fixture, { ...page, signedAt: now() + offset })
      if (cause === undefined) t.equal(answer.status, 200, name)
      else refuses(t, answer, cause, name)
    }
  })

  await t.test(`${server} takes each POST once`, async (t) => {
    const post: Call = {
      method: 'POST',
      target: '/wiki_render',
      from: student,
      headers: [['Cookie', 'trac_form_token=abc']],
      body: 'id=WikiStart&text=rendered&__FORM_TOKEN=abc',
    }
    const headers = identityHeaders(fixture, post)
    const first = await sendRaw(fixture, post, headers)
    t.equal(first.status, 200)
    t.match(first.body, 'rendered')
    refuses(t, await sendRaw(fixture, post, headers), 'was used before', 'the same again')
    await setIni(fixture.environment, 'project', 'descr', 'reloaded')
    refuses(t, await sendRaw(fixture, post, headers), 'was used before', 'after trac.ini changed')
    t.equal((await send(fixture, post)).status, 200, 'a new signature is taken')
    const read = identityHeaders(fixture, page)
    t.equal((await sendRaw(fixture, page, read)).status, 200)
    t.equal((await sendRaw(fixture, page, read)).status, 200, 'a GET may come again')
  })

  await t.test(`${server} refuses what no gateway should have signed`, async (t) => {
    const about: Call = { target: '/about' }
    const cases: readonly (readonly [Parameters<typeof signedByHand>[1], number, string])[] = [
      [{}, 3601, 'is valid for too long a time'],
      [{}, -1, 'is valid for too long a time'],
      [{ user: '%zz' }, 60, 'X-Trac-User is malformed'],
      [{ user: 'a%2' }, 60, 'X-Trac-User is malformed'],
      [{ user: 'sam,ada' }, 60, 'X-Trac-User is malformed'],
      [{ user: 'sam ada' }, 60, 'X-Trac-User is malformed'],
      [{ user: '%ff' }, 60, 'X-Trac-User is not UTF-8'],
      [{ user: '%ED%A0%80' }, 60, 'X-Trac-User is not'],
      [{ perms: 'WIKI_VIEW, TRAC_ADMIN' }, 60, 'X-Trac-Perms is malformed'],
      [{ perms: 'wiki_view' }, 60, 'X-Trac-Perms is malformed'],
    ]
    for (const [wire, lifetime, cause] of cases) {
      const answer = await sendRaw(fixture, about, signedByHand(fixture, wire, lifetime))
      refuses(t, answer, cause, `${JSON.stringify(wire)} for ${lifetime} s`)
    }
    const right = await sendRaw(fixture, about, signedByHand(fixture, {}, 3600))
    t.equal(right.status, 200, 'and takes what is right, by the words of the contract')
  })

  await t.test(`${server} refuses signed names that mean something else to Trac`, async (t) => {
    const names = [
      'anonymous',
      'Authenticated',
      'TICKET_VIEW',
      'trac_admin',
      'a,b',
      ' a',
      'a ',
      'a\nb',
      'a\u0000',
      'a\u200bb',
      'a\u202eb',
      'a\u2028b',
      '\uff41',
      '\ufb01',
      'x'.repeat(256),
    ]
    for (const user of names) {
      const answer = await send(fixture, { ...page, from: { ...student, user } })
      refuses(t, answer, 'X-Trac-User is not a name', encodeURIComponent(user))
    }
    t.equal(
      (await send(fixture, { ...page, from: { ...student, user: 'x'.repeat(255) } })).status,
      200,
    )
  })

  await t.test(`${server} refuses a signature for another host than its own`, async (t) => {
    await setIni(fixture.environment, 'trac_gateway', 'host', fixture.host)
    t.equal((await send(fixture, page)).status, 200)
    const call = { ...page, signed: { host: 'elsewhere.example' } }
    const headers = added('Host', 'elsewhere.example')(identityHeaders(fixture, call))
    refuses(t, await sendRaw(fixture, call, headers), 'another Host', 'signed for another host')
  })
}
