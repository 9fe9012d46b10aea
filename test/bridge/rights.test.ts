/** What Trac knows of people who are not making the request: who may own a ticket, get mail, or close a ticket by a commit. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { admin, identityHeaders, postForm, send, sendRaw, student } from '../fixtures/signed.js'
import type { Person } from '../fixtures/signed.js'
import { mailTo, startMailSink } from '../fixtures/smtp.js'
import { askPython, both, setIni, startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

const run = promisify(execFile)

/** A plugin that copies the name of who makes a request, and asks what the copy may do. */
const plugins = {
  'copied.py': `from trac.core import Component, implements
from trac.perm import PermissionCache, PermissionSystem
from trac.web.api import IRequestHandler
class Copied(Component):
    implements(IRequestHandler)
    def match_request(self, req):
        return req.path_info == '/copied'
    def process_request(self, req):
        name = type(u'')(req.authname + u' ')[:-1]
        perm = PermissionCache(self.env, name)
        may = [action for action in ('TICKET_CREATE', 'TICKET_VIEW') if action in perm]
        text = ','.join(may + PermissionSystem(self.env).get_permission_groups(name))
        req.send(text.encode('utf-8'), 'text/plain')
`,
}

/** Somebody whose session comes. */
const person = (user: string, groups: readonly string[], ...more: readonly string[]): Person => ({
  user,
  perms: [...student.perms, ...more],
  email: `${user}@example.edu`,
  groups,
  kind: 'session',
})

const ines = person('ines', ['instructors'], 'TICKET_MODIFY')
const ivan = person('ivan', ['instructors'], 'TICKET_MODIFY')
const sam = person('sam', ['students'])
/** May see nothing of tickets. */
const gus: Person = { ...person('gus', ['guests']), perms: ['WIKI_VIEW'] }
const ada: Person = { ...admin, kind: 'session', groups: ['ADMINS'], email: 'ada@example.edu' }

async function visit(fixture: Fixture, from: Person, target = '/about'): Promise<number> {
  return (await send(fixture, { target, from })).status
}

const folderOf = ({ environment }: Fixture) => join(environment, 'files', 'trac_gateway')

/** What the plugin has kept, by user. */
async function kept(fixture: Fixture): Promise<Record<string, Record<string, unknown>>> {
  const folder = folderOf(fixture)
  const files = await readdir(folder).catch(() => [])
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
  const all = texts.map((text) => JSON.parse(text) as Record<string, unknown>)
  return Object.fromEntries(all.map((one) => [String(one['user']), one]))
}

/** Makes what is kept of somebody older, as if time had passed. */
async function age(fixture: Fixture, user: string, days: number): Promise<void> {
  for (const file of await readdir(folderOf(fixture))) {
    const path = join(folderOf(fixture), file)
    const told = JSON.parse(await readFile(path, 'utf8')) as { user: string; seen: number }
    if (told.user !== user) continue
    await writeFile(path, JSON.stringify({ ...told, seen: told.seen - days * 86_400 }))
  }
}

/** The names in a select box of a page. */
function optionsOf(page: string, id: string): string[] {
  const box = new RegExp(`<select[^>]*id="${id}"[^]*?</select>`).exec(page)?.[0] ?? ''
  return [...box.matchAll(/<option[^>]*value="([^"]*)"/g)].map(([, name = '']) => name)
}

/** Asks Trac what a program of its own would ask: it is no request. */
async function mayDo(fixture: Fixture, pairs: readonly (readonly [string, string])[]) {
  const program = `import json, sys
from trac.env import open_environment
from trac.perm import PermissionCache, PermissionSystem
env = open_environment(sys.argv[1])
print(json.dumps([action in PermissionCache(env, user) for user, action in json.loads(sys.argv[2])]))`
  return askPython(fixture.python, program, fixture.environment, JSON.stringify(pairs))
}

/** A repository with one commit of each author; the revisions in their order. */
async function commits(t: Test, authors: readonly (readonly [author: string, message: string])[]) {
  const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-git-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const git = async (...parameters: string[]) => {
    const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' }
    return (await run('git', ['-C', folder, ...parameters], { env })).stdout.trim()
  }
  await git('init', '--quiet', '--initial-branch=main')
  const revisions: string[] = []
  for (const [author, message] of authors) {
    const [, name = '', email = ''] = /^(.*) <(.*)>$/.exec(author) ?? []
    const as = ['-c', `user.name=${name}`, '-c', `user.email=${email}`]
    await git(...as, 'commit', '--quiet', '--allow-empty', `--message=${message}`)
    revisions.push(await git('rev-parse', 'HEAD'))
  }
  return { folder: join(folder, '.git'), revisions }
}

/** Runs trac-admin as a hook of a repository does. */
async function tracAdmin({ python, environment }: Fixture, ...parameters: string[]) {
  const program = 'import sys; from trac.admin.console import run; sys.exit(run(sys.argv[1:]))'
  const { stdout } = await run(python, ['-c', program, environment, ...parameters])
  return stdout
}

for (const server of both) {
  const sink = await startMailSink(t)
  const fixture = await startFixture(t, server, {
    plugins,
    ini: {
      trac: { permission_store: 'TracGatewayPermissionStore' },
      ticket: { restrict_owner: 'true' },
      'ticket-workflow': { 'hand.operations': 'set_owner', hand: 'new -> assigned' },
      trac_gateway: {
        session_attributes: 'cognito_username, authenticated, cognito_groups, cognito_sub',
      },
      notification: mailTo(sink),
      'notification-subscriber': {
        always_notify_cc: 'CarbonCopySubscriber',
        always_notify_updater: 'CarbonCopySubscriber',
      },
    },
  })

  await t.test(`${server} keeps what a session brought, and only that`, async (t) => {
    t.equal(await visit(fixture, { ...ines, kind: 'bearer' }), 200)
    t.equal(await visit(fixture, { user: 'ines', perms: ines.perms, email: 'i@example.edu' }), 200)
    const call = { target: '/about', from: { user: 'ines', perms: ines.perms } }
    const unsigned = [['X-Trac-Groups', 'admins'] as const, ['X-Trac-Kind', 'session'] as const]
    const headers = [...identityHeaders(fixture, call), ...unsigned]
    t.equal((await sendRaw(fixture, call, headers)).status, 200, 'what is not signed is not read')
    t.strictSame(await kept(fixture), {}, 'nothing of a token, and nothing without v2')
    for (const one of [ines, ivan, sam, gus, ada]) t.equal(await visit(fixture, one), 200)
    const all = await kept(fixture)
    t.strictSame(Object.keys(all).toSorted(), ['ada', 'gus', 'ines', 'ivan', 'sam'])
    t.match(all['ines'], { groups: ['instructors'], email: 'ines@example.edu' })
    t.strictSame(all['ines']?.['permissions'], ines.perms.toSorted())
    for (const kind of ['bearer', 'token', 'machine'] as const) {
      t.equal(await visit(fixture, { ...ines, kind, perms: [], groups: [] }), 200)
    }
    t.equal(await visit(fixture, { user: '', perms: ['WIKI_VIEW'] }), 200)
    t.strictSame(await kept(fixture), all, 'less does not replace it')
  })

  await t.test(`${server} writes only what changed, or is a day old`, async (t) => {
    const [file = ''] = await readdir(folderOf(fixture))
    const path = join(folderOf(fixture), file)
    const user = (JSON.parse(await readFile(path, 'utf8')) as { user: string }).user
    const who = [ines, ivan, sam, gus, ada].find((one) => one.user === user)!
    const before = await stat(path)
    await visit(fixture, who)
    t.equal((await stat(path)).ino, before.ino)
    await age(fixture, user, 2)
    const aged = await stat(path)
    await visit(fixture, who)
    t.not((await stat(path)).ino, aged.ino)
    await visit(fixture, { ...who, groups: ['others'] })
    t.match((await kept(fixture))[user], { groups: ['others'] })
    await visit(fixture, who)
    t.equal((await stat(path)).mode & 0o777, (await stat(folderOf(fixture))).mode & 0o666)
  })

  await t.test(`${server} lists as owners who may be one and has been here once`, async (t) => {
    const form = await send(fixture, { target: '/newticket', from: ada })
    const owners = optionsOf(form.body, 'action_create_and_assign_reassign_owner')
    t.strictSame(owners.slice(1), ['ada', 'ines', 'ivan'], 'after the default')
    const ticket = await send(fixture, { target: '/ticket/1', from: ivan })
    t.strictSame(optionsOf(ticket.body, 'action_hand_reassign_owner'), ['ada', 'ines', 'ivan'])
    await setIni(fixture.environment, 'ticket-workflow', 'hand.set_owner', 'TICKET_ADMIN, students')
    const other = await send(fixture, { target: '/ticket/1', from: ivan })
    t.strictSame(
      optionsOf(other.body, 'action_hand_reassign_owner'),
      ['ada', 'sam'],
      'by permission and by group',
    )
  })

  await t.test(`${server} says of others what they may, and of a stranger nothing`, async (t) => {
    const asked = [
      ['ines', 'TICKET_MODIFY'],
      ['ines', 'TICKET_CHGPROP'],
      ['ines', 'TICKET_ADMIN'],
      ['sam', 'TICKET_CREATE'],
      ['sam', 'TICKET_MODIFY'],
      ['ada', 'WIKI_DELETE'],
      ['nobody', 'WIKI_VIEW'],
      ['anonymous', 'WIKI_VIEW'],
    ] as const
    const expected = [true, true, false, true, false, true, false, false]
    t.strictSame(await mayDo(fixture, asked), expected)
    await age(fixture, 'ines', 31)
    t.strictSame(await mayDo(fixture, [['ines', 'TICKET_MODIFY']]), [false], 'after 30 days')
    await visit(fixture, person('new', []))
    t.notOk('ines' in (await kept(fixture)), 'and is removed when somebody new comes')
    await visit(fixture, ines)
    t.strictSame(await mayDo(fixture, [['ines', 'TICKET_MODIFY']]), [true])
  })

  await t.test(`${server} gives a request nothing that it did not bring itself`, async (t) => {
    const weak: Person = { ...ada, kind: 'bearer', perms: ['WIKI_VIEW', 'TICKET_VIEW'], groups: [] }
    t.equal(await visit(fixture, weak, '/admin/general/basics'), 404)
    t.equal(await visit(fixture, weak, '/newticket'), 403)
    t.equal(await visit(fixture, { ...weak, kind: 'token' }, '/newticket'), 403)
    t.equal(await visit(fixture, ada, '/newticket'), 200)
    const copied = async (from: Person) => (await send(fixture, { target: '/copied', from })).body
    t.equal(
      await copied(weak),
      'TICKET_VIEW,anonymous,authenticated',
      'for a copy of the name, too',
    )
    t.equal(await copied(sam), 'TICKET_CREATE,TICKET_VIEW,anonymous,authenticated,students')
    t.equal(await copied({ user: '', perms: ['TICKET_VIEW'] }), 'TICKET_VIEW,anonymous')
  })

  await t.test(`${server} mails a ticket to nobody who may not see it`, async (t) => {
    const fields = { field_summary: 'Look', field_cc: 'sam, gus, elsewhere@example.org' }
    const made = await postForm(fixture, ada, '/newticket', { ...fields, submit: 'Create' })
    t.equal(made.status, 303)
    const to: string[] = []
    while (to.length < 2) to.push(...(await sink.next()).to)
    t.strictSame(to.toSorted(), ['elsewhere@example.org', 'sam@example.edu'])
    await setIni(fixture.environment, 'trac_gateway', 'mail_viewers_only', 'false')
    await postForm(fixture, ada, '/newticket', { ...fields, field_cc: 'gus', submit: 'Create' })
    t.strictSame((await sink.next()).to, ['gus@example.edu'], 'unless Trac is told otherwise')
    await setIni(fixture.environment, 'trac_gateway', 'mail_viewers_only', undefined)
    await postForm(fixture, ada, '/newticket', {
      ...fields,
      field_cc: 'students',
      submit: 'Create',
    })
    t.strictSame((await sink.next()).to, ['sam@example.edu'], 'a group is its members')
  })

  await t.test(`${server} lets a commit close a ticket as the user who wrote it`, async (t) => {
    const { folder, revisions } = await commits(t, [
      ['Sam Student <sam@example.edu>', 'Closes #2'],
      ['Nobody <nobody@example.org>', 'Closes #2'],
      ['Ines <INES@example.edu>', 'Closes #2'],
    ])
    const ini = (section: string, name: string, value: string) =>
      setIni(fixture.environment, section, name, value)
    await ini('components', 'tracopt.versioncontrol.git.*', 'enabled')
    await ini('components', 'tracopt.ticket.commit_updater.committicketreferencemacro', 'enabled')
    await ini('trac_gateway', 'commit_updater', 'true')
    await ini('repositories', '.dir', folder)
    await ini('repositories', '.type', 'git')
    const seen: string[] = []
    for (const revision of revisions) {
      await tracAdmin(fixture, 'changeset', 'added', '', revision)
      const csv = await send(fixture, { target: '/ticket/2?format=csv', from: ada })
      seen.push(/closed/.test(csv.body) ? 'closed' : 'open')
    }
    t.strictSame(seen, ['open', 'open', 'closed'], 'ines alone may')
    const page = (await send(fixture, { target: '/ticket/2', from: ada })).body
    t.match(page, /trac-author[^>]*>ines</)
    t.match(page, /In [^]{0,300}changeset/)
    t.notMatch(page, /Sam Student|Nobody/)
    await ini('git', 'trac_user_rlookup', 'true')
    await tracAdmin(fixture, 'repository', 'resync', '')
    const line = await send(fixture, { target: '/timeline?changeset=on', from: ada })
    t.match(line.body, /Changeset [^]{0,200} by <span class="trac-author">ines</, 'named in lists')
  })

  await t.test(`${server} tells other plugins what they look for in a session`, async (t) => {
    const sub = '0a1b2c3d-0000-4000-8000-123456789abc'
    await visit(fixture, { ...person(sub, ['students', 'a"b']) })
    const attributes = async (user: string) =>
      askPython(
        fixture.python,
        `import json, sqlite3, sys
print(json.dumps(dict(sqlite3.connect(sys.argv[1] + '/db/trac.db').execute(
    "SELECT name, value FROM session_attribute WHERE authenticated = 1 AND sid = ?", sys.argv[2:]))))`,
        fixture.environment,
        user,
      )
    t.match(await attributes(sub), {
      cognito_username: sub,
      authenticated: '1',
      cognito_groups: '["a\\"b", "students"]',
      cognito_sub: sub,
    })
    t.notOk('cognito_sub' in ((await attributes('sam')) as object), 'sam is a name')
  })

  await t.test(`${server} knows nothing of whom a damaged file tells`, async (t) => {
    const may = async () => (await mayDo(fixture, [['ines', 'TICKET_VIEW']])) as readonly boolean[]
    t.equal(await visit(fixture, ines), 200)
    t.strictSame(await may(), [true])
    for (const file of await readdir(folderOf(fixture))) {
      const path = join(folderOf(fixture), file)
      const told = await readFile(path, 'utf8')
      if (!told.includes('"ines"')) continue
      for (const [key, value] of [
        ['seen', '1e999'],
        ['groups', '7'],
        ['email', '[]'],
      ] as const) {
        await writeFile(path, told.replace(/}$/, `, "${key}": ${value}}`))
        t.strictSame(await may(), [false], `${key}: ${value}`)
      }
      await writeFile(path, told)
    }
    t.strictSame(await may(), [true])
  })

  await t.test(`${server} keeps and uses nothing with last_seen_days 0`, async (t) => {
    await setIni(fixture.environment, 'trac_gateway', 'last_seen_days', '0')
    await visit(fixture, { ...person('last', []) })
    t.notOk('last' in (await kept(fixture)))
    t.strictSame(await mayDo(fixture, [['ines', 'TICKET_MODIFY']]), [false])
    await rm(folderOf(fixture), { recursive: true })
    await setIni(fixture.environment, 'trac_gateway', 'last_seen_days', '30')
    await mkdir(join(folderOf(fixture), '..'), { recursive: true })
    await writeFile(folderOf(fixture), 'in the way')
    t.equal(await visit(fixture, sam), 200, 'nobody is refused for it')
    const log = await readFile(join(fixture.environment, 'log', 'trac.log'), 'utf8')
    t.match(log, /trac_gateway cannot keep what users may do[^]*last_seen_days = 0/)
  })
}
