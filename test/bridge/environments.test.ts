/**
 * Several environments of a real Trac behind one gateway, on the servers that people run them on: one plugin and one key
 * file for all, one sign-in, and in each environment the rights of that environment.
 */
import { examine } from '../../src/app/doctor/doctor.js'
import type { Examination } from '../../src/app/doctor/site.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { setIni, startProjects, testKey } from '../fixtures/tracs.js'
import type { ServerName } from '../fixtures/tracs.js'
import type { Test } from 'tap'
import { Visitor } from '../fixtures/visitor.js'
import { ask } from '../fixtures/wire.js'

/** Alice is an administrator in `math` and may only read in `physics`; Sam the other way round. */
const overlay = {
  permissions: {
    groups: { admins: ['WIKI_VIEW'], students: ['WIKI_VIEW'], instructors: [] },
    anonymous: [],
  },
  environments: {
    math: { title: 'Mathematics', permissions: { groups: { admins: ['TRAC_ADMIN'] } } },
    physics: { permissions: { groups: { students: ['TRAC_ADMIN'] } } },
    open: { permissions: { anonymous: ['WIKI_VIEW'] } },
  },
}
const names = ['math', 'physics', 'open', 'hidden']

async function open(t: Test, server: ServerName) {
  const trac = await startProjects(t, server, names)
  const s = await stage(t, {
    provider: 'cognito',
    upstream: { url: `http://127.0.0.1:${trac.port}` },
    signingKey: testKey,
    overlay,
  })
  return { ...s, trac }
}

/** What holds on every server. */
async function tryAll(t: Test, server: ServerName) {
  const s = await open(t, server)
  const alice = await s.signIn(s.alice)
  const sam = await s.signIn(s.sam)
  const status = async (visitor: Visitor, path: string) => (await visitor.open(s.url + path)).status
  t.equal(await status(alice, '/math/admin/general/basics'), 200)
  t.equal(await status(sam, '/math/admin/general/basics'), 403)
  t.equal(await status(sam, '/physics/admin/general/basics'), 200)
  t.equal(await status(alice, '/physics/admin/general/basics'), 403)
  const page = await alice.open(`${s.url}/physics/wiki/WikiStart`)
  t.equal(page.status, 200)
  t.match(page.text, 'trac-author-user">Alice Admin<')
  t.match(page.text, 'action="/trac/physics/logout"')
  t.match(page.text, `src="//localhost:${s.port}/trac/auth/client.js"`)
  t.notMatch(page.text, 'Edit this page')
  t.match((await alice.open(`${s.url}/math`)).text, 'Edit this page')
  return { ...s, alice, sam, status }
}

await t.test('tracd -e of Trac 1.6', async (t) => {
  const { status, alice, ...s } = await tryAll(t, 'projects 1.6')

  await t.test('an anonymous visitor has what each environment gives to everybody', async (t) => {
    const nobody = new Visitor()
    t.equal(await status(nobody, '/open/wiki/WikiStart'), 200)
    t.equal(await status(nobody, '/math/wiki/WikiStart'), 302)
    const { text } = await nobody.open(`${s.url}/open/wiki/WikiStart`)
    t.match(text, 'href="/trac/open/login"')
    t.notMatch(text, 'client.js')
  })

  await t.test(
    'the list has what a visitor may enter, and Trac’s own is not reached',
    async (t) => {
      const listed = async (visitor: Visitor) => {
        const { text } = await visitor.open(`${s.url}/`)
        return [...text.matchAll(/href="\/trac\/(\w+)\/">([^<]+)</g)].map(([, name]) => name)
      }
      t.same(await listed(new Visitor()), ['open'])
      t.same(await listed(alice), ['math', 'open', 'physics'])
      t.equal(await status(alice, '/hidden/wiki'), 404, 'nobody has named it')
    },
  )

  await t.test('the script that keeps the session is found, and renews it for all', async (t) => {
    const script = await alice.fetch(`${s.url}/auth/client.js`)
    t.equal(script.status, 200)
    const renewed = await alice.fetch(`${s.url}/auth/refresh`, {
      method: 'POST',
      headers: { origin: s.origin },
    })
    t.equal(renewed.status, 200)
  })

  await t.test('Trac saves what a person does in one environment, and nowhere else', async (t) => {
    const form = await alice.open(`${s.url}/math/wiki/Notes?action=edit`)
    const [, token = ''] = /name="__FORM_TOKEN" value="([^"]+)"/.exec(form.text) ?? []
    const fields = { __FORM_TOKEN: token, action: 'edit', version: '0', text: 'of math', save: 'x' }
    const saved = await alice.submit(
      `${s.url}/math/wiki/Notes`,
      new URLSearchParams(fields).toString(),
    )
    t.equal(saved.status, 303)
    t.equal(new URL(saved.location).pathname, '/trac/math/wiki/Notes')
    t.match((await alice.open(`${s.url}/math/wiki/Notes`)).text, 'of math')
    t.notMatch((await alice.open(`${s.url}/physics/wiki/Notes`)).text, 'of math')
  })

  await t.test('what was signed for one environment does not open another one', async (t) => {
    const { sign } = s.gateway.gateway.services.upstreams.get('trac')!
    const host = `localhost:${s.port}`
    const identity = { user: 'alice', perms: 'TRAC_ADMIN', email: '', name: '' }
    const at = Math.floor(s.clock() / 1000)
    const target = { method: 'GET', host, path: '/trac/math/about', query: '' }
    const headers = {
      'X-Trac-User': 'alice',
      'X-Trac-Perms': 'TRAC_ADMIN',
      'X-Trac-Signature': sign!(target, identity, at, 0),
    }
    const lines = [`Host: ${host}`, ...Object.entries(headers).map((pair) => pair.join(': '))]
    const ask1 = async (path: string) => (await ask(s.trac, `GET ${path}`, lines)).status
    t.equal(await ask1('/trac/math/about'), 200)
    t.equal(await ask1('/trac/physics/about'), 403)
  })

  await t.test('doctor looks at each environment, and at what it shares', async (t) => {
    const { config } = s.gateway.gateway.services
    for (const name of names.slice(0, 3)) {
      await setIni(s.trac.environment(name), 'trac', 'base_url', `${s.url}/${name}`)
    }
    const rowsOf = async (more: Partial<Examination>) => {
      const { rows } = await examine({ config, isRunning: async () => false, ...more })
      return rows.filter(({ check }) => check.startsWith('trac'))
    }
    const rows = await rowsOf({})
    t.same(
      rows.filter(({ outcome }) => outcome === 'bad'),
      [],
    )
    t.same(
      rows.filter(({ check }) => check === 'trac.plugin').map(({ found }) => found.split(':')[0]),
      ['math', 'physics', 'open'],
    )
    const local = await rowsOf({ tracEnv: s.trac.environment('math') })
    t.match(
      local.find(({ check }) => check === 'trac.plugin-file'),
      { outcome: 'good', found: /shared\/plugins\/trac_gateway\.py/ },
    )
    t.match(
      local.find(({ check }) => check === 'trac.key-file'),
      { outcome: 'good', found: /has the key test-1$/ },
    )
    t.match(await rowsOf({ environment: 'history' }), [
      { outcome: 'bad', found: 'history: no environment of that name' },
    ])
  })
})

for (const server of ['projects 1.4', 'gunicorn 1.6', 'mod_wsgi 1.6'] as const) {
  await t.test(server, async (t) => {
    await tryAll(t, server)
  })
}
