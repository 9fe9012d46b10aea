/** What the plugin tells: the gateway that it is there, people where their rights and names are kept, operators what is wrong. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import { answerMac, keyFingerprint } from '../../src/trac/signature.js'
import { admin, identityHeaders, postForm, send, sendRaw, student } from '../fixtures/signed.js'
import type { Call, Header, Person } from '../fixtures/signed.js'
import { stage } from '../fixtures/stage.js'
import { askPython, both, setIni, startFixture, testKey } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'
import { ask } from '../fixtures/wire.js'

/** Sends a call, with its signature. */
async function signed(fixture: Fixture, call: Call) {
  const headers = identityHeaders(fixture, call)
  const signature = headers.find(([name]) => name === 'X-Trac-Signature')![1]
  return { signature, answer: await sendRaw(fixture, call, headers) }
}

const other = { id: testKey.id, secret: 'Another-secret-of-32-bytes-or-more-of-the-tests' }
const viaOf = (key: typeof testKey): Header => [
  'Via',
  `1.1 trac-gateway (key ${key.id} ${keyFingerprint(key)})`,
]

/** What is done wrong on the way, and what the page and the log say. */
const misfits: readonly (readonly [
  what: string,
  call: Omit<Call, 'target'>,
  cause: string | RegExp,
])[] = [
  [
    'a base path that only Trac has',
    { signed: { path: '/wiki/WikiStart' } },
    'it was signed for /wiki/WikiStart, arrived at /trac/wiki/WikiStart',
  ],
  [
    'a base path that was put before another one',
    { signed: { path: '/base/trac/wiki/WikiStart' } },
    'it was signed for /base/trac/wiki/WikiStart, arrived at /trac/wiki/WikiStart',
  ],
  [
    'a base path in the place of another one',
    { signed: { path: '/base/wiki/WikiStart' } },
    'it was signed for /base/wiki/WikiStart, arrived at /trac/wiki/WikiStart',
  ],
  [
    'a Host that something rewrote',
    {
      signed: { host: 'trac.example.edu' },
      headers: [['X-Forwarded-Host', 'trac.example.edu']],
    },
    'it was signed for Host trac.example.edu, arrived with Host 127.0.0.1:',
  ],
  [
    'a method that something rewrote',
    { signed: { method: 'HEAD' } },
    'it was signed for HEAD, arrived as GET',
  ],
  [
    'another secret, with the gateway’s word of it',
    { key: other, headers: [viaOf(other)] },
    `the key's fingerprint here is ${keyFingerprint(testKey)}, there ${keyFingerprint(other)}`,
  ],
  [
    'another secret, without a word of it',
    { key: other },
    `the fingerprint of the key test-1 is ${keyFingerprint(testKey)} here`,
  ],
  [
    'another user, with the right key',
    { signed: { query: 'x' }, headers: [viaOf(testKey)] },
    'another path, query, host, method or user than those that arrived (GET /trac/wiki/WikiStart at',
  ],
  [
    'a key that the file does not have',
    { key: { ...other, id: 'k2' } },
    'not in the key file: its id is k2, and the file has test-1',
  ],
  [
    'a clock that is behind',
    { signedAt: Math.floor(Date.now() / 1000) - 1000 },
    /It was signed 1\d{3} s ago/,
  ],
]

for (const server of both) {
  await t.test(`${server} proves to the gateway that the plugin is there`, async (t) => {
    const fixture = await startFixture(t, server)
    const css = '/chrome/common/css/trac.css'
    const since = (await send(fixture, { target: css })).headers.get('last-modified') ?? ''
    const calls: readonly (readonly [Call, number])[] = [
      [{ target: '/wiki/WikiStart', from: admin }, 200],
      [{ target: css }, 200],
      [{ target: css, headers: [['If-Modified-Since', since]] }, 304],
      [{ target: '/wiki/WikiStart', method: 'HEAD', from: admin }, 200],
    ]
    for (const [call, status] of calls) {
      const { signature, answer } = await signed(fixture, call)
      t.equal(answer.status, status)
      const [, version = ''] = answer.headers.get('x-trac-gateway')?.split(';') ?? []
      t.match(version, /^\d+\.\d+$/)
      const proof = `v1;${version};${answerMac(testKey, signature, version)}`
      t.equal(answer.headers.get('x-trac-gateway'), proof, `${call.target} ${status}`)
    }
    const refused = await send(fixture, { target: '/wiki', signed: { path: '/' } })
    t.notOk(refused.headers.has('x-trac-gateway'), 'and says nothing to others')
  })

  await t.test(`${server} says what a signature was made for, and never a secret`, async (t) => {
    const fixture = await startFixture(t, server, {
      basePath: '/trac',
      ini: { trac: { base_url: 'https://trac.example.edu/base' } },
    })
    for (const [what, call, cause] of misfits) {
      const answer = await send(fixture, { target: '/trac/wiki/WikiStart', ...call })
      t.equal(answer.status, 403, what)
      t.match(answer.body.replaceAll('&#39;', "'"), cause, what)
    }
    const log = await readFile(join(fixture.environment, 'log', 'trac.log'), 'utf8')
    for (const [what, , cause] of misfits) t.match(log, cause, `${what}, in the log`)
    for (const { secret } of [testKey, other]) t.notMatch(log, secret)
  })

  await t.test(`${server} says nothing that is not so of rights and names`, async (t) => {
    const fixture = await startFixture(t, server)

    await t.test('it says where rights and names are kept', async (t) => {
      const permissions = await send(fixture, { target: '/admin/general/perm', from: admin })
      t.match(
        permissions.body,
        /kept in the gateway(?:'|&#39;)s gateway\.yaml \(permissions\.groups\)/,
      )

      const note = 'name and e-mail address come from the account'
      const sam = { ...student, email: 'sam@example.edu' }
      t.match((await send(fixture, { target: '/prefs', from: sam })).body, note)
      const page = async (from: typeof sam, target = '/prefs') =>
        (await send(fixture, { target, from })).body
      t.notMatch(await page(sam, '/prefs/localization'), note)
      t.notMatch(await page({ ...sam, user: 'ida', email: '' }), note, 'where neither is known')
    })

    await t.test('its permission page grants and revokes nothing, and says so', async (t) => {
      const before = await storedPermissions(fixture)
      const granter = { ...student, user: 'ida', perms: ['PERMISSION_GRANT', 'PERMISSION_REVOKE'] }
      const key = (text: string) => Buffer.from(text).toString('base64')
      const sel = `${key('anonymous')}:${key('WIKI_VIEW')}`
      const grant = { subject: 'sam', action: 'WIKI_ADMIN', add: 'Add' }
      const forms = [
        grant,
        { subject: 'sam', group: 'admins', add: 'Add' },
        { subject: 'anonymous', target: 'sam', copy: 'Copy' },
        { sel, remove: 'Remove' },
      ]
      const panel = '/admin/general/perm'
      const isKept = async (
        from: Person,
        target: string,
        form: Readonly<Record<string, string>>,
      ) => {
        const answer = await postForm(fixture, from, target, form)
        t.equal(answer.status, 303, target)
        t.equal(answer.headers.get('location'), `http://${fixture.host}${panel}`)
        const page = await send(fixture, { target: panel, from })
        t.match(page.body, 'Nothing was granted or revoked')
        t.notMatch(page.body, /has been|have been/)
      }
      for (const form of forms) await isKept(admin, panel, form)
      // Whose first panel it is gets it at the shorter addresses, too.
      for (const target of ['/admin/general', '/admin']) await isKept(granter, target, grant)
      t.equal((await postForm(fixture, student, panel, grant)).status, 404, 'as Trac says itself')
      t.strictSame(await storedPermissions(fixture), before)
      const basics = await postForm(fixture, admin, '/admin/general/basics', { name: 'x' })
      t.equal(basics.status, 303)
      const saved = await send(fixture, { target: '/admin/general/basics', from: admin })
      t.match(saved.body, 'have been saved', 'other panels do as ever')
    })

    await t.test(
      'its preferences save no name or address but the account’s, and say so',
      async (t) => {
        const kept = 'name and e-mail address were not changed'
        const saved = 'preferences have been saved'
        const save = async (from: Person, fields: Record<string, string>) => {
          t.equal(
            (await postForm(fixture, from, '/prefs', { ...fields, action: 'save' })).status,
            303,
          )
          return (await send(fixture, { target: '/prefs', from })).body
        }
        const sam = { ...student, email: 'sam@example.edu', name: 'Sam' }
        for (const fields of [
          { name: 'Eve', email: sam.email },
          { name: sam.name, email: 'eve@example.org' },
          { name: '', email: '' },
        ]) {
          const page = await save(sam, fields)
          t.match(page, kept)
          t.notMatch(page, saved)
          t.match(page, /value="Sam"/)
          t.match(page, /value="sam@example\.edu"/)
        }
        const same = await save(sam, { name: sam.name, email: sam.email })
        t.match(same, saved, 'which is so')
        t.notMatch(same, kept)
        // Her name is nobody’s but her own: the gateway knows her address alone.
        const ida = { ...student, user: 'ida', email: 'ida@example.edu' }
        const page = await save(ida, { name: 'Ida', email: 'eve@example.org' })
        for (const text of [kept, saved, 'value="Ida"', 'value="ida@example.edu"'])
          t.match(page, text)
        const ivo = { ...student, user: 'ivo' }
        const free = await save(ivo, { name: 'Ivo', email: 'ivo@example.org' })
        for (const text of [saved, 'value="Ivo"', 'value="ivo@example.org"']) t.match(free, text)
        t.notMatch(free, kept, 'nor is anything kept of which the gateway knows nothing')
        await setIni(fixture.environment, 'trac_gateway', 'write_email', 'false')
        const own = await save(sam, { name: 'Eve', email: 'eve@example.org' })
        t.match(own, saved, 'nor where it writes nothing')
        t.notMatch(own, /come from the account|were not changed/)
      },
    )
  })

  await t.test(
    `${server} with the plugin is not degraded, and the browser sees no proof`,
    async (t) => {
      const { gateway } = await stage(t, { trac: server })
      t.equal((await ask(gateway, 'GET /trac/wiki/WikiStart')).header('x-trac-gateway'), '')
      t.strictSame(gateway.gateway.readiness.report().degraded.filter(isAboutPlugin), [])
    },
  )

  await t.test(`${server} without the plugin is told of, once, with what to do`, async (t) => {
    const bare = {
      trac: {
        permission_policies:
          'DefaultWikiPolicy, DefaultTicketPolicy, DefaultPermissionPolicy, LegacyAttachmentPolicy',
        request_filters: '',
      },
      components: { 'trac_gateway.*': 'disabled', 'trac.web.auth.loginmodule': 'enabled' },
    }
    const { gateway } = await stage(t, { trac: { server, ini: bare } })
    for (let i = 0; i < 3; i++) {
      t.match(await ask(gateway, 'GET /trac/about'), { status: 200, body: /Login/ })
    }
    const told = gateway.gateway.readiness.report().degraded.filter(isAboutPlugin)
    t.match(told, [/trac_gateway\.py is not in the plugins folder .*trac-side\.md/])
    const lines = gateway.lines.filter(({ msg }) => isAboutPlugin(String(msg)))
    t.match(lines, [{ level: 'warn' }])
    t.equal(lines.length, 1)
  })
}

/** What Trac's database says of rights; no policy reads it. */
function storedPermissions({ python, environment }: Fixture): Promise<unknown> {
  const program = `
import json, sys
from trac.env import Environment
rows = Environment(sys.argv[1]).db_query('SELECT username, action FROM permission')
print(json.dumps(sorted(list(row) for row in rows)))`
  return askPython(python, program, environment)
}

function isAboutPlugin(text: string): boolean {
  return text.includes('X-Trac-Gateway')
}
