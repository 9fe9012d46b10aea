/**
 * The built-in table against real Trac: for each handler of Trac and each kind of person, views and writes. What Trac
 * refuses by its permissions, the gateway does not let through; what Trac serves, the gateway does not refuse. The
 * exceptions are listed with their reasons, and one that is none any more fails.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { admin, nobody, send } from '../fixtures/signed.js'
import type { Header, Person } from '../fixtures/signed.js'
import { stage } from '../fixtures/stage.js'
import { askPython, both, startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'
import { ask } from '../fixtures/wire.js'

const run = promisify(execFile)

/** A request by everybody; `{who}` stands for a word of each person's own, so that nobody takes another's object away. */
interface Case {
  readonly handler: string
  readonly what: string
  readonly target: string
  /** Of a POST: the form, or with `file` one with an upload. */
  readonly form?: Readonly<Record<string, string>>
  readonly file?: true
}

const view = (handler: string, target: string, what = target): Case => ({ handler, what, target })
const form = (
  handler: string,
  what: string,
  target: string,
  fields: Readonly<Record<string, string>>,
): Case => ({ handler, what, target, form: fields })

const panels =
  'general/basics general/logging general/plugin general/perm ticket/components ticket/milestones ticket/priority versioncontrol/repository'

const cases: readonly Case[] = [
  view('Chrome', '/chrome/common/css/trac.css'),
  view('PygmentsRenderer', '/pygments/trac.css'),
  view('AboutModule', '/about'),
  view('InterTracDispatcher', '/intertrac/wiki:Rules'),
  view('AdminModule', '/admin'),
  ...panels.split(' ').map((panel) => view('AdminModule', `/admin/${panel}`)),
  form('AdminModule', 'add a component', '/admin/ticket/components', { add: '1', name: '{who}' }),
  form('AdminModule', 'grant', '/admin/general/perm', {
    add: '1',
    subject: 'x',
    action: 'WIKI_VIEW',
  }),
  view('AttachmentModule', '/attachment/wiki/Rules/'),
  view('AttachmentModule', '/attachment/ticket/1/'),
  view('AttachmentModule', '/attachment/milestone/Autumn%20term/'),
  view('AttachmentModule', '/attachment/wiki/Rules/alice.txt'),
  view('AttachmentModule', '/raw-attachment/wiki/Rules/alice.txt'),
  view('AttachmentModule', '/raw-attachment/ticket/1/alice.txt'),
  view('AttachmentModule', '/zip-attachment/wiki/Rules/'),
  view('AttachmentModule', '/attachment/wiki/Rules/?action=new'),
  view('AttachmentModule', '/attachment/ticket/1/?action=new'),
  view('AttachmentModule', '/attachment/milestone/Autumn%20term/?action=new'),
  view('AttachmentModule', '/attachment/wiki/Rules/alice.txt?action=delete'),
  ...['wiki/Rules', 'ticket/1', 'milestone/Autumn%20term'].map((parent) => ({
    ...form('AttachmentModule', `attach to ${parent}`, `/attachment/${parent}/`, { action: 'new' }),
    file: true as const,
  })),
  form('AttachmentModule', 'delete somebody’s', '/attachment/wiki/Rules/trac-{who}.txt', {
    action: 'delete',
  }),
  form('AttachmentModule', 'delete one’s own', '/attachment/wiki/Rules/{who}.txt', {
    action: 'delete',
  }),
  view('AttachmentModule', '/attachment/wiki/Rules/a%5Cb.txt', 'a name with a backslash'),
  form('AttachmentModule', 'delete a backslash', '/attachment/wiki/Rules/a%5C{who}.txt', {
    action: 'delete',
  }),
  view('AdminModule', '/admin/ticket/components/UI%5CUX', 'a component with a backslash'),
  form('AdminModule', 'rename it', '/admin/ticket/components/UI%5C{who}', {
    save: '1',
    name: 'new\\{who}',
  }),
  view('PreferencesModule', '/prefs'),
  view('PreferencesModule', '/prefs/userinterface'),
  form('PreferencesModule', 'save', '/prefs/userinterface', { ui: 'x' }),
  view('SearchModule', '/search?q=wiki'),
  view('SearchModule', '/search/opensearch'),
  view('RoadmapModule', '/roadmap'),
  view('RoadmapModule', '/roadmap?format=ics'),
  view('MilestoneModule', '/milestone'),
  view('MilestoneModule', '/milestone/Autumn%20term'),
  view('MilestoneModule', '/milestone/TCP%5CIP', 'a name with a backslash'),
  view('MilestoneModule', '/milestone?action=new'),
  view('MilestoneModule', '/milestone/Autumn%20term?action=new'),
  view('MilestoneModule', '/milestone/Autumn%20term?action=edit'),
  view('MilestoneModule', '/milestone/Autumn%20term?action=delete'),
  form('MilestoneModule', 'new', '/milestone', { action: 'edit', id: '', name: 'new-{who}' }),
  form('MilestoneModule', 'rename', '/milestone/a%5C{who}', { action: 'edit', name: 'b\\{who}' }),
  form('MilestoneModule', 'delete', '/milestone/gone%5C{who}', { action: 'delete' }),
  form('MilestoneModule', 'cancel', '/milestone/Autumn%20term', { action: 'edit', cancel: '1' }),
  form('BatchModifyModule', 'change', '/batchmodify', {
    selected_tickets: '1',
    query_href: '/trac/query',
    batchmod_value_comment: 'x',
    action: 'leave',
  }),
  view('QueryModule', '/query?status=new'),
  view('QueryModule', '/query?status=new&format=csv'),
  view('QueryModule', '/query?report=1&status=new'),
  form('QueryModule', 'update', '/query', { update: '1', status: 'new' }),
  view('ReportModule', '/report'),
  view('ReportModule', '/report/1'),
  view('ReportModule', '/report/1?format=csv'),
  view('ReportModule', '/report/1?format=sql'),
  view('ReportModule', '/report?action=new'),
  view('ReportModule', '/report/1?action=edit'),
  view('ReportModule', '/report/1?action=copy'),
  view('ReportModule', '/report/1?action=delete'),
  form('ReportModule', 'new', '/report', { action: 'new', title: 'x', query: 'SELECT 1' }),
  form('ReportModule', 'edit', '/report/2', { action: 'edit', title: 'x', query: 'SELECT 1' }),
  form('ReportModule', 'delete', '/report/{report}', { action: 'delete' }),
  form('ReportModule', 'clear', '/report', { action: 'clear' }),
  view('TicketModule', '/ticket/1'),
  view('TicketModule', '/ticket/1/', 'with a slash'),
  view('TicketModule', '/ticket/1?format=csv'),
  view('TicketModule', '/ticket/1?action=history'),
  view('TicketModule', '/newticket'),
  view('TicketModule', '/ticket/1?edit_comment=1&cnum_edit=1&edited_comment=x', 'a write on GET'),
  form('TicketModule', 'create', '/newticket', { field_summary: 'x', submit: '1' }),
  form('TicketModule', 'comment', '/ticket/2', { comment: 'x', action: 'leave', submit: '1' }),
  form('TicketModule', 'diff options', '/ticket/1', { action: 'diff', version: '1' }),
  view('TimelineModule', '/timeline'),
  view('TimelineModule', '/timeline/', 'with a slash'),
  view('TimelineModule', '/timeline?format=rss'),
  view('BrowserModule', '/browser'),
  view('BrowserModule', '/browser/README'),
  view('BrowserModule', '/export/HEAD/README'),
  view('BrowserModule', '/file/README'),
  view('ChangesetModule', '/changeset/{revision}'),
  view('ChangesetModule', '/changeset/{revision}?format=diff'),
  form('ChangesetModule', 'diff options', '/changeset/{revision}', { update: '1' }),
  view('AnyDiffModule', '/diff'),
  view('LogModule', '/log/README'),
  view('WikiRenderer', '/wiki_render'),
  form('WikiRenderer', 'render', '/wiki_render', { text: 'x' }),
  view('WikiModule', '/wiki'),
  view('WikiModule', '/wiki/Rules'),
  view('WikiModule', '/wiki/Rules?format=txt'),
  view('WikiModule', '/wiki/Rules?action=history'),
  view('WikiModule', '/wiki/Rules?action=diff&version=1'),
  ...['edit', 'delete', 'rename', 'edit_comment'].map((action) =>
    view('WikiModule', `/wiki/Rules?action=${action}`),
  ),
  view('WikiModule', '/wiki/NoSuchPage?action=edit'),
  form('WikiModule', 'edit', '/wiki/Edit-{who}', {
    action: 'edit',
    text: 'x',
    save: '1',
    version: '1',
  }),
  form('WikiModule', 'create', '/wiki/New-{who}', {
    action: 'edit',
    text: 'x',
    save: '1',
    version: '0',
  }),
  form('WikiModule', 'rename', '/wiki/Rename-{who}', {
    action: 'rename',
    new_name: 'Renamed-{who}',
  }),
  form('WikiModule', 'delete', '/wiki/Gone-{who}', { action: 'delete' }),
  form('WikiModule', 'change a comment', '/wiki/Edit-{who}', {
    action: 'edit_comment',
    version: '1',
    new_comment: 'x',
  }),
  form('WikiModule', 'diff options', '/wiki/Rules', {
    action: 'diff',
    version: '1',
    old_version: '1',
  }),
  view('default handler', '/'),
  // It takes the start page away, so it is the last one.
  form('AdminModule', 'basics', '/admin/general/basics', { apply: '1' }),
]

const body = 'what a POST asks for stands in its body, and a viewer’s POST is one, too'
const own = 'people may delete what they attached, whatever they hold now'
const closed = 'a closed site makes Trac work for nobody'
const empty = 'it shows nothing without rights, or leads to where they are wanted'
const slash = 'a redirect to the page without the slash, which wants a right'

/** Exceptions by case: whom they are for, and why. */
type Exceptions = Readonly<Record<string, readonly [who: string, why: string]>>

/** What the gateway lets through although Trac refuses it: it can't be told before. */
const passes: Exceptions = {
  'AttachmentModule: /attachment/wiki/Rules/alice.txt?action=delete': ['sam ivan', own],
  'AttachmentModule: attach to wiki/Rules': ['sam', body],
  'AttachmentModule: attach to ticket/1': ['sam', body],
  'AttachmentModule: attach to milestone/Autumn%20term': ['sam', body],
  'AttachmentModule: delete somebody’s': ['sam ivan', own],
  'AttachmentModule: delete a backslash': ['sam ivan', own],
  'MilestoneModule: delete': ['ivan', body],
  'ReportModule: new': ['sam', body],
  'ReportModule: edit': ['sam', body],
  'ReportModule: delete': ['sam ivan', body],
  'WikiModule: edit': ['sam', body],
  'WikiModule: create': ['sam', body],
  'WikiModule: rename': ['sam ivan', body],
  'WikiModule: delete': ['sam ivan', body],
  'WikiModule: change a comment': ['sam ivan', body],
}

/** What the gateway refuses although Trac serves it. */
const refuses: Exceptions = {
  'AttachmentModule: /attachment/wiki/Rules/': ['nobody', empty],
  'AttachmentModule: /attachment/ticket/1/': ['nobody', empty],
  'AttachmentModule: /attachment/milestone/Autumn%20term/': ['nobody', empty],
  'AttachmentModule: /zip-attachment/wiki/Rules/': ['nobody', empty],
  'PreferencesModule: /prefs': ['nobody', closed],
  'PreferencesModule: /prefs/userinterface': ['nobody', closed],
  'PreferencesModule: save': ['nobody', closed],
  'MilestoneModule: /milestone': ['nobody', empty],
  'MilestoneModule: cancel': ['sam', 'no page shows this form to somebody who may change nothing'],
  'TicketModule: with a slash': ['nobody', slash],
  'TicketModule: a write on GET': ['alice', 'a link that somebody else made must change nothing'],
  'TimelineModule: with a slash': ['nobody', slash],
  'BrowserModule: /file/README': ['nobody sam ivan', empty],
  'AnyDiffModule: /diff': ['nobody', empty],
  'WikiRenderer: render': ['nobody', closed],
}

/** What this Trac serves to nobody here. */
const unserved: Readonly<Record<string, string>> = {
  'PygmentsRenderer: /pygments/trac.css': 'Pygments is not installed',
  'ReportModule: /report/1?format=sql': 'a fault of Trac 1.6 on Python 3',
}

/** Other addresses of an object, which Trac does serve, and what the answers have in common. */
const secondAddresses: readonly (readonly [second: string, first: string, mark: RegExp])[] = [
  ['/wiki?page=Syllabus', '/wiki/Syllabus', /Reviews/],
  ['/report?id=1', '/report/1', /\{1\}/],
  ['/report/-1?id=1', '/report/1', /\{1\}/],
  ['/report/01', '/report/1', /\{1\}/],
  ['/milestone?id=Autumn%20term', '/milestone/Autumn%20term', /handed in/],
  ['/ticket/01', '/ticket/1', /The build fails/],
  ['/attachment/wiki?path=Rules/', '/attachment/wiki/Rules/', /alice\.txt/],
]

/**
 * Pages that show a part of another object. By GET both are judged; the body of a POST is not read before it is sent on, so
 * `trac-gateway check` says of a rule for such an object that it holds only with one of Trac's own.
 */
const shown: readonly (readonly [target: string, mark: RegExp, form?: Case['form']])[] = [
  ['/wiki/Unwritten?action=edit&template=/Syllabus', /Reviews/],
  ['/query?report=1&status=new', /Active Tickets/],
  ['/wiki/Unwritten', /Reviews/, { action: 'edit', preview: '1', template: '/Syllabus' }],
  ['/query', /Active Tickets/, { report: '1', status: 'new' }],
]

/** Objects that each person may take away, and files to look at; answers with the numbers of the reports. */
const seedProgram = `
import io, json, sys
from trac.attachment import Attachment
from trac.env import Environment
from trac.resource import Resource
from trac.ticket.model import Component, Milestone, Report, Ticket
from trac.versioncontrol.api import RepositoryManager
from trac.wiki.model import WikiPage
env = Environment(sys.argv[1])
reports = {}
def attach(parent, name, author):
    file = Attachment(env, *parent)
    file.author = author
    file.insert(name, io.BytesIO(b'x'), 1)
def milestone(name):
    one = Milestone(env)
    one.name = name
    one.insert()
milestone(u'TCP\\\\IP')
def component(name):
    one = Component(env)
    one.name = name
    one.insert()
component(u'UI\\\\UX')
attach((u'wiki', u'Rules'), u'a\\\\b.txt', u'trac')
for who in (u'nobody', u'sam', u'ivan', u'alice'):
    for kind in (u'Edit', u'Rename', u'Gone'):
        page = WikiPage(env, u'%s-%s' % (kind, who))
        page.text = u'x'
        page.save(u'trac', u'')
    milestone(u'a\\\\%s' % who)
    milestone(u'gone\\\\%s' % who)
    component(u'UI\\\\%s' % who)
    attach((u'wiki', u'Rules'), u'a\\\\%s.txt' % who, u'trac')
    attach((u'wiki', u'Rules'), u'trac-%s.txt' % who, u'trac')
    attach((u'wiki', u'Rules'), u'%s.txt' % who, who)
    report = Report(env)
    report.title, report.query = u'x', u'SELECT 1'
    report.insert()
    reports[who] = report.id
attach((u'ticket', u'1'), u'alice.txt', u'alice')
ticket = Ticket(env, 1)
ticket['description'] = u'Changed.'
ticket.save_changes(u'trac', u'')
RepositoryManager(env).get_repository('').sync()
print(json.dumps(reports))
`

/**
 * Who may have a page is known before it is written, and writing it takes most of Trac's time. Most of what is left goes
 * into collecting garbage after each request.
 */
const blankPages = `
import gc
from trac.web.chrome import Chrome
gc.collect = lambda *generation: 0
whole = Chrome.render_template
def render_template(self, req, *more, **named):
    if req.get_header('X-Whole-Page') is None:
        return b''
    return whole(self, req, *more, **named)
Chrome.render_template = render_template
`

const groups = {
  admins: ['TRAC_ADMIN'],
  instructors:
    'TICKET_CREATE TICKET_MODIFY TICKET_VIEW MILESTONE_CREATE MILESTONE_MODIFY MILESTONE_VIEW WIKI_CREATE WIKI_MODIFY WIKI_VIEW CHANGESET_VIEW TIMELINE_VIEW SEARCH_VIEW REPORT_CREATE REPORT_MODIFY REPORT_VIEW ROADMAP_VIEW'.split(
      ' ',
    ),
  students:
    'TICKET_CREATE TICKET_VIEW MILESTONE_VIEW WIKI_VIEW CHANGESET_VIEW TIMELINE_VIEW SEARCH_VIEW REPORT_VIEW ROADMAP_VIEW'.split(
      ' ',
    ),
}

const s = await stage(t, {
  provider: 'cognito',
  upstream: true,
  overlay: { permissions: { groups, anonymous: [] } },
})

/** Who asks, with the header that says so and what Trac is told of them. */
const people: readonly (readonly [who: string, header: string, person: Person])[] =
  await Promise.all(
    [s.sam, s.ivan, s.alice].map(async (one) => [one, await s.bearerOf(one)] as const),
  ).then(async (signedIn) => {
    const all: (readonly [string, string, Person])[] = [['nobody', 'X-Nobody: 1', nobody]]
    for (const [, header] of signedIn) {
      await ask(s.gateway, 'GET /trac/about', [header])
      const told = s.upstream.lastHeaders()
      const user = String(told['x-trac-user'])
      all.push([user, header, { user, perms: String(told['x-trac-perms']).split(',') }])
    }
    return all
  })

/** What the gateway has decided; it is the same for both Tracs. */
const verdicts = new Map<string, boolean>()

/** Whether the gateway lets a request through. */
async function passesGateway(one: Case, target: string, header: string): Promise<boolean> {
  const method = one.form === undefined ? 'GET' : 'POST'
  const asked = `${method} /trac${target}`
  const known = verdicts.get(`${header} ${asked}`)
  if (known !== undefined) return known
  const before = s.upstream.received.length
  const headers = one.form === undefined ? [header] : [header, 'Content-Length: 0']
  const { status } = await ask(s.gateway, asked, headers)
  // A static file may come from memory.
  const passed = s.upstream.received.length > before || status === 200
  verdicts.set(`${header} ${asked}`, passed)
  return passed
}

/** What Trac answers to it, past the gateway's rules. */
async function askTrac(trac: Fixture, one: Case, target: string, from: Person): Promise<number> {
  if (one.form === undefined) return (await send(trac, { target: `/trac${target}`, from })).status
  const call = { target: `/trac${target}`, from, ...posted(one.form) }
  const contentType = 'multipart/form-data; boundary=b'
  const body = multipart({ ...one.form, __FORM_TOKEN: formToken }, `new-${from.user}.txt`)
  const upload = one.file === true ? { body, contentType } : {}
  return (await send(trac, { ...call, ...upload })).status
}

const formToken = 'abcdef0123456789'

/** A POST of a form, with the token that Trac wants of one. */
function posted(fields: NonNullable<Case['form']>, headers: readonly Header[] = []) {
  return {
    method: 'POST',
    headers: [['Cookie', `trac_form_token=${formToken}`] as const, ...headers],
    body: new URLSearchParams({ ...fields, __FORM_TOKEN: formToken }).toString(),
  }
}

function multipart(fields: Readonly<Record<string, string>>, name: string): string {
  const part = (disposition: string, text: string) =>
    `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${text}\r\n`
  const parts = Object.entries(fields).map(([field, text]) => part(`name="${field}"`, text))
  return `${parts.join('')}${part(`name="attachment"; filename="${name}"`, 'x')}--b--\r\n`
}

/** A repository with one file; answers with its folder and revision. */
async function createRepository(t: Test): Promise<readonly [folder: string, revision: string]> {
  const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const git = (...words: string[]) =>
    run('git', ['-C', folder, '-c', 'user.name=x', '-c', 'user.email=x@example.edu', ...words])
  await git('init', '--quiet')
  await writeFile(join(folder, 'README'), 'x\n')
  await git('add', 'README')
  await git('commit', '--quiet', '--message', 'x')
  return [join(folder, '.git'), (await git('rev-parse', 'HEAD')).stdout.trim()]
}

for (const server of both) {
  await t.test(`${server}: the table lets through and refuses what Trac does`, async (t) => {
    const [dir, revision] = await createRepository(t)
    const trac = await startFixture(t, server, {
      basePath: '/trac',
      plugins: { 'blank_pages.py': blankPages },
      ini: {
        components: { 'tracopt.versioncontrol.git.*': 'enabled' },
        repositories: { '.dir': dir, '.type': 'git' },
      },
    })
    const seeded = await askPython(trac.python, seedProgram, trac.environment)
    const reports = seeded as Readonly<Record<string, number>>
    const found = { passes: new Map<string, string[]>(), refuses: new Map<string, string[]>() }
    const note = (kind: keyof typeof found, name: string, who: string) =>
      found[kind].set(name, [...(found[kind].get(name) ?? []), who])
    const served = new Set<string>()
    for (const one of cases) {
      const name = `${one.handler}: ${one.what}`
      for (const [who, header, person] of people) {
        const fill = (text: string) =>
          text
            .replaceAll('{who}', who)
            .replaceAll('{report}', String(reports[who]))
            .replaceAll('{revision}', revision)
        const target = fill(one.target)
        const filled =
          one.form === undefined
            ? one
            : { ...one, form: JSON.parse(fill(JSON.stringify(one.form))) as Record<string, string> }
        const passed = await passesGateway(one, target, header)
        // Trac refuses an administrator nothing; it is asked if nobody else has it.
        if (passed && who === 'alice' && served.has(name)) continue
        const status = await askTrac(trac, filled, target, person)
        if (status < 400) served.add(name)
        if (passed && status === 403) note('passes', name, who)
        if (!passed && status < 400) note('refuses', name, who)
      }
    }
    const listed = (table: typeof passes) =>
      Object.fromEntries(Object.entries(table).map(([name, [who]]) => [name, who]))
    const joined = (map: ReadonlyMap<string, readonly string[]>) =>
      Object.fromEntries([...map].map(([name, who]) => [name, who.join(' ')]))
    t.strictSame(joined(found.passes), listed(passes), 'let through although Trac refuses it')
    t.strictSame(joined(found.refuses), listed(refuses), 'refused although Trac serves it')
    const never = cases
      .map((one) => `${one.handler}: ${one.what}`)
      .filter((name) => !served.has(name) && unserved[name] === undefined)
    t.strictSame(never, [], 'Trac serves each to somebody, so each case is a real one')
    await showsSecondAddresses(t, trac)
  })
}

/** What the gateway leads to the first address, or judges twice, is a way to the object. */
async function showsSecondAddresses(t: Test, trac: Fixture): Promise<void> {
  const text = async (target: string, fields?: Case['form']) => {
    const call = { target: `/trac${target}`, from: admin }
    const whole = ['X-Whole-Page', '1'] as const
    if (fields === undefined) return (await send(trac, { ...call, headers: [whole] })).body
    return (await send(trac, { ...call, ...posted(fields, [whole]) })).body
  }
  for (const [second, first, mark] of secondAddresses) {
    for (const target of [second, first]) t.match(await text(target), mark, target)
    const answer = await ask(s.gateway, `GET /trac${second}`)
    t.equal(answer.header('location'), `/trac${first}`)
  }
  for (const [target, mark, fields] of shown) t.match(await text(target, fields), mark, target)
}
