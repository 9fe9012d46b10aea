/** Trac knows a person's e-mail address and name from their first request on, and writes to them there. */
import { t } from '../fixtures/tap.js'
import { admin, postForm, send, student } from '../fixtures/signed.js'
import type { Person } from '../fixtures/signed.js'
import { mailTo, startMailSink } from '../fixtures/smtp.js'
import { askPython, both, setIni, startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

const sam: Person = { ...student, email: 'sam@example.edu', name: 'Sam Студент' }

/** What `get_known_users()` of Trac reads, without the second that it takes to load Trac: name and e-mail by user. */
async function knownUsers(fixture: Fixture): Promise<Record<string, unknown>> {
  const known = await askPython(
    fixture.python,
    `import json, sqlite3, sys
known = {}
for sid, name, value in sqlite3.connect(sys.argv[1] + '/db/trac.db').execute("""
    SELECT s.sid, a.name, a.value FROM session s LEFT JOIN session_attribute a
    ON a.sid = s.sid AND a.authenticated = 1 AND a.name IN ('name', 'email') WHERE s.authenticated = 1"""):
    known.setdefault(sid, [None, None])
    if name:
        known[sid][('name', 'email').index(name)] = value
print(json.dumps(known))`,
    fixture.environment,
  )
  return known as Record<string, unknown>
}

async function visit(fixture: Fixture, from: Person, target = '/about'): Promise<number> {
  return (await send(fixture, { target, from })).status
}

for (const server of both) {
  const sink = await startMailSink(t)
  const fixture = await startFixture(t, server, {
    ini: {
      notification: mailTo(sink),
      'notification-subscriber': {
        always_notify_owner: 'TicketOwnerSubscriber',
        always_notify_reporter: 'TicketReporterSubscriber',
      },
    },
  })
  /** What is known of somebody. */
  const known = async (user: string) => (await knownUsers(fixture))[user]

  await t.test(`${server} knows address and name after one request for any page`, async (t) => {
    t.equal(await visit(fixture, sam, '/chrome/common/css/trac.css'), 200)
    t.strictSame(await knownUsers(fixture), { sam: ['Sam Студент', 'sam@example.edu'] })
    t.equal(await visit(fixture, { ...sam, email: 'sam@example.org', name: 'Sam' }), 200)
    t.strictSame(await knownUsers(fixture), { sam: ['Sam', 'sam@example.org'] }, 'changed')
    t.equal(await visit(fixture, student), 200)
    t.strictSame(await knownUsers(fixture), { sam: ['Sam', 'sam@example.org'] }, 'kept if unknown')
    const program = `import json, sys
from trac.env import Environment
known = Environment(sys.argv[1]).get_known_users(as_dict=False)
print(json.dumps({sid: [name, email] for sid, name, email in known}))`
    const trac = await askPython(fixture.python, program, fixture.environment)
    t.strictSame(trac, await knownUsers(fixture), 'Trac reads the same')
  })

  await t.test(`${server} keeps the other preferences of the user`, async (t) => {
    const pia = { ...sam, user: 'pia' }
    const fields = { tz: 'GMT +5:00', action: 'save' }
    t.equal((await postForm(fixture, pia, '/prefs/localization', fields)).status, 303)
    const own = { name: 'Somebody else', email: 'other@example.org', action: 'save' }
    t.equal((await postForm(fixture, pia, '/prefs', own)).status, 303)
    await visit(fixture, pia)
    t.strictSame(await known('pia'), ['Sam Студент', 'sam@example.edu'])
    const page = await send(fixture, { target: '/prefs/localization', from: pia })
    t.match(
      page.body,
      /<option[^>]*selected[^>]*value="GMT \+5:00"|<option[^>]*value="GMT \+5:00"[^>]*selected/,
    )
  })

  await t.test(`${server} carries nothing of an anonymous visitor into an account`, async (t) => {
    const cookie = ['Cookie', 'trac_session=0123456789abcdef; trac_form_token=abc'] as const
    const typed = 'name=Mallory&email=mallory@example.org&action=save&__FORM_TOKEN=abc'
    const call = { target: '/prefs', method: 'POST', body: typed, headers: [cookie] }
    t.equal((await send(fixture, call)).status, 303)
    t.match((await send(fixture, { target: '/prefs', headers: [cookie] })).body, 'Mallory')
    const nora = { ...student, user: 'nora' }
    for (const from of [nora, { ...student, user: 'ines', name: 'Ines' }]) {
      t.equal((await send(fixture, { target: '/prefs', from, headers: [cookie] })).status, 200)
    }
    t.strictSame(
      [await known('nora'), await known('ines')],
      [
        [null, null],
        ['Ines', null],
      ],
    )
    t.match((await send(fixture, { target: '/prefs', headers: [cookie] })).body, 'Mallory', 'kept')
  })

  await t.test(`${server} stores no malformed address`, async (t) => {
    const bad = [
      'sam',
      'a@b@c',
      'a b@c',
      'a@b,c@d',
      '<a@b>',
      'a@b\nBcc: c@d',
      'a\u200b@b',
      '@b',
      'a@',
    ]
    for (const email of [...bad, `${'a'.repeat(250)}@b.example`]) {
      t.equal(await visit(fixture, { ...student, user: 'mal', email, name: 'a\nb' }), 200)
    }
    t.strictSame(await known('mal'), [null, null])
  })

  await t.test(`${server} sends the mail of a ticket to the address from the token`, async (t) => {
    const ticket = { field_summary: 'Please look', field_type: 'task', submit: 'Create' }
    t.equal(await visit(fixture, { ...sam, user: 'otto', email: 'otto@example.edu' }), 200)
    const owned = { ...ticket, field_owner: 'otto' }
    t.equal((await postForm(fixture, admin, '/newticket', owned)).status, 303)
    t.strictSame((await sink.next()).to, ['otto@example.edu'], 'to the owner')
    const rita = { ...student, user: 'rita', email: 'rita@example.edu' }
    t.equal((await postForm(fixture, rita, '/newticket', ticket)).status, 303)
    const mail = await sink.next()
    t.strictSame(mail.to, ['rita@example.edu'], 'to somebody whose first request it is')
    t.match(mail.text, 'Please look')
  })

  await t.test(`${server} stores no address for nobody, nor with write_email off`, async (t) => {
    const before = await knownUsers(fixture)
    t.equal(await visit(fixture, { ...sam, user: '' }), 200)
    t.strictSame(await knownUsers(fixture), before)
    await setIni(fixture.environment, 'trac_gateway', 'write_email', 'false')
    t.equal(await visit(fixture, { ...sam, user: 'last' }), 200)
    t.strictSame(await known('last'), [null, null])
  })
}
