/** Trac's own pages know who a request is from and show only what they may do. */
import { t } from '../fixtures/tap.js'
import { admin, nobody, postForm, send, student } from '../fixtures/signed.js'
import type { Person } from '../fixtures/signed.js'
import { askPython, both, setIni, startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

const instructor: Person = {
  user: 'ines',
  perms: [...student.perms, 'WIKI_CREATE', 'WIKI_MODIFY', 'MILESTONE_CREATE', 'MILESTONE_MODIFY'],
}

/** Asks Trac's LoginModule and the bridge for their navigation, for somebody signed in and for nobody. */
const navigationProgram = `
import json, sys
from trac.env import Environment
from trac.test import MockRequest
from trac.web.auth import LoginModule
env = Environment(sys.argv[1])
from trac_gateway import TracGateway
def rendered(component, authname):
    req = MockRequest(env, authname=authname, script_name='/trac',
                      cookie='trac_form_token=0123abcd')
    items = component.get_navigation_items(req)
    return [[kind, name, u'%s' % content] for kind, name, content in items] + [
        component.get_active_navigation_item(req)]
component = {'LoginModule': LoginModule, 'TracGateway': TracGateway}[sys.argv[2]](env)
print(json.dumps([rendered(component, name) for name in (u'sam', u'J\\xe9', u'anonymous')]))`

async function status(
  fixture: Fixture,
  from: Person,
  targets: readonly string[],
): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const target of targets) {
    found[target] = (await send(fixture, { from, target: fixture.base + target })).status
  }
  return found
}

/** A plugin with permissions of its own, which the gateway does not know. */
const plugins = {
  'learning.py': `from trac.core import Component, implements
from trac.perm import IPermissionRequestor
from trac.web.api import IRequestHandler
class Learning(Component):
    implements(IPermissionRequestor, IRequestHandler)
    def get_permission_actions(self):
        return ['LEARNING_PARTICIPATE', ('LEARNING_ADMIN', ['LEARNING_PARTICIPATE'])]
    def match_request(self, req):
        return req.path_info == '/learning'
    def process_request(self, req):
        req.perm.require('LEARNING_PARTICIPATE')
        req.send(b'learning', 'text/plain')
`,
}

for (const server of both) {
  const fixture = await startFixture(t, server, { basePath: '/trac', plugins })
  await t.test(`${server} lets a student do what students may`, async (t) => {
    const targets = ['/wiki/WikiStart', '/ticket/1', '/newticket', '/roadmap', '/report/1']
    const closed = ['/wiki/WikiStart?action=edit', '/wiki/WikiStart?action=delete', '/browser']
    const all = [...targets, ...closed, '/admin', '/admin/general/plugin']
    t.strictSame(await status(fixture, student, all), {
      '/wiki/WikiStart': 200,
      '/ticket/1': 200,
      '/newticket': 200,
      '/roadmap': 200,
      '/report/1': 200,
      '/wiki/WikiStart?action=edit': 403,
      '/wiki/WikiStart?action=delete': 403,
      '/browser': 403,
      '/admin': 404,
      '/admin/general/plugin': 404,
    })
    const page = await send(fixture, { from: student, target: '/trac/wiki/WikiStart' })
    t.match(page.body, 'href="/trac/newticket"')
    t.notMatch(page.body, 'href="/trac/admin"')
    t.notMatch(page.body, 'action=edit')
    const edit = await postForm(fixture, student, '/trac/wiki/Mine', { action: 'edit', text: 'x' })
    t.equal(edit.status, 403)
    const refusal = await send(fixture, {
      from: student,
      target: '/trac/wiki/WikiStart?action=edit',
    })
    t.match(refusal.body, 'WIKI_MODIFY', 'and says which permission is missing')
  })

  await t.test(
    `${server} lets an instructor save a page and an admin see everything`,
    async (t) => {
      const edit = { action: 'edit', text: 'Saved text', comment: '', save: '1', version: '0' }
      const saved = await postForm(fixture, instructor, '/trac/wiki/New', edit)
      t.equal(saved.status, 303)
      const page = await send(fixture, { from: admin, target: '/trac/wiki/New?action=history' })
      t.match(page.body, 'ines', 'under the instructor’s name')
      t.match(page.body, 'href="/trac/admin"')
      t.strictSame(await status(fixture, admin, ['/admin', '/admin/general/plugin', '/browser']), {
        '/admin': 200,
        '/admin/general/plugin': 200,
        '/browser': 404,
      })
    },
  )

  await t.test(`${server} gives anonymous visitors what the gateway gives them`, async (t) => {
    t.equal((await send(fixture, { target: '/trac/wiki/WikiStart', from: nobody })).status, 403)
    const reader: Person = { user: '', perms: ['WIKI_VIEW'] }
    const page = await send(fixture, { target: '/trac/wiki/WikiStart', from: reader })
    t.equal(page.status, 200)
    t.match(page.body, '<a href="/trac/login">Login</a>')
    t.notMatch(page.body, 'id="logout"')
    t.equal((await send(fixture, { target: '/trac/ticket/1', from: reader })).status, 403)
  })

  await t.test(`${server} renders Trac’s own navigation and loads the client`, async (t) => {
    const cookie = ['Cookie', 'trac_form_token=0123abcd'] as const
    const call = { target: '/trac/wiki/WikiStart', from: student, headers: [cookie] }
    const page = (await send(fixture, call)).body
    t.match(page, 'logged in as <span class="trac-author-user">sam</span>')
    t.match(page, /<form [^>]*action="\/trac\/logout"[^>]*id="logout"[^>]*method="post"/)
    t.match(page, /<input [^>]*name="__FORM_TOKEN"[^>]*value="0123abcd"/)
    const rendered = async (component: string): Promise<unknown> =>
      askPython(fixture.python, navigationProgram, fixture.environment, component)
    const theirs = await rendered('LoginModule')
    t.match(theirs, [[['metanav', 'login'], ['metanav', 'logout'], 'login']])
    t.strictSame(await rendered('TracGateway'), theirs)
    t.match(page, '<script src="/trac/auth/client.js"></script>')
    const sheet = await send(fixture, {
      target: '/trac/chrome/common/css/trac.css',
      from: student,
    })
    t.equal(sheet.status, 200)
    t.match(sheet.headers.get('content-type'), 'text/css')
    const out = (await send(fixture, { ...call, from: nobody, target: '/trac/about' })).body
    t.match(out, '<a href="/trac/login">Login</a>')
    t.notMatch(out, 'client.js', 'a visitor has no session to renew')
  })

  await t.test(`${server} knows people by names beyond ASCII`, async (t) => {
    for (const user of [
      'André',
      'voilà',
      'BÅ',
      '日本',
      'Жанна',
      'a+b@example.edu',
      "d'Arc & <co>",
    ]) {
      const shown = user.replace(/[&]/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
      const page = await send(fixture, { target: '/trac/about', from: { ...student, user } })
      t.match(page.body, /trac-author-user">(?:[^<]*)</, user)
      const name = /trac-author-user">([^<]*)</.exec(page.body)?.[1]?.replace(/&#39;/g, "'")
      // Trac hides the domain of an address from those without EMAIL_VIEW.
      t.equal(name, shown.replace(/@.*$/, '@…'), user)
      const fields = { field_summary: `By ${user}`, field_type: 'task', submit: 'Create' }
      const made = await postForm(fixture, { ...student, user }, '/trac/newticket', fields)
      t.equal(made.status, 303, `${user} creates a ticket`)
      const where = /\/ticket\/\d+$/.exec(made.headers.get('location') ?? '')?.[0] ?? ''
      const seer = { ...admin, user }
      const csv = await send(fixture, { target: `/trac${where}?format=csv`, from: seer })
      const reporter = user.replace(/"/g, '""')
      t.ok(csv.body.includes(reporter), `${user} is its reporter`)
    }
  })

  await t.test(
    `${server} expands the meta actions of plugins, which the gateway does not know`,
    async (t) => {
      const cases = [
        ['LEARNING_PARTICIPATE', 200],
        ['LEARNING_ADMIN', 200],
        ['TRAC_ADMIN', 200],
        ['WIKI_ADMIN', 403],
      ] as const
      for (const [action, expected] of cases) {
        const answer = await send(fixture, {
          target: '/trac/learning',
          from: { user: 'x', perms: [action] },
        })
        t.equal(answer.status, expected, action)
      }
      const named = await send(fixture, {
        target: '/trac/about',
        from: { user: 'learning_admin', perms: [] },
      })
      t.equal(named.status, 403, 'and no user is called like one')
    },
  )

  await t.test(`${server} does not load the client with inject_client off`, async (t) => {
    await setIni(fixture.environment, 'trac_gateway', 'inject_client', 'false')
    const page = await send(fixture, { target: '/trac/about', from: student })
    t.equal(page.status, 200)
    t.notMatch(page.body, 'client.js')
  })
}
