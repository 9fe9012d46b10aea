/** Trac knows a person's e-mail address and name from their first request on, and writes to them there. */
import t from 'tap'
import { admin, postForm, send, student } from '../fixtures/signed.js'
import type { Person } from '../fixtures/signed.js'
import { startMailSink } from '../fixtures/smtp.js'
import { askPython, both, setIni, startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

const sam: Person = { ...student, email: 'sam@example.edu', name: 'Sam Студент' }

/** The signed-in users that Trac knows, by name: [name, e-mail]. */
async function knownUsers(fixture: Fixture): Promise<unknown> {
  return askPython(
    fixture.python,
    `import json, sys
from trac.env import Environment
env = Environment(sys.argv[1])
print(json.dumps({sid: [name, email] for sid, name, email in env.get_known_users(as_dict=False)}))`,
    fixture.environment,
  )
}

async function visit(fixture: Fixture, from: Person, target = '/about'): Promise<number> {
  return (await send(fixture, { target, from })).status
}

for (const server of both) {
  await t.test(`${server} knows address and name after one request for any page`, async (t) => {
    const fixture = await startFixture(t, server)
    t.equal(await visit(fixture, sam, '/chrome/common/css/trac.css'), 200)
    t.strictSame(await knownUsers(fixture), { sam: ['Sam Студент', 'sam@example.edu'] })
    t.equal(await visit(fixture, { ...sam, email: 'sam@example.org', name: 'Sam' }), 200)
    t.strictSame(await knownUsers(fixture), { sam: ['Sam', 'sam@example.org'] }, 'changed')
    t.equal(await visit(fixture, student), 200)
    t.strictSame(await knownUsers(fixture), { sam: ['Sam', 'sam@example.org'] }, 'kept if unknown')
  })

  await t.test(`${server} keeps the other preferences of the user`, async (t) => {
    const fixture = await startFixture(t, server)
    const fields = { tz: 'GMT +5:00', action: 'save' }
    t.equal((await postForm(fixture, sam, '/prefs/localization', fields)).status, 303)
    const own = { name: 'Somebody else', email: 'other@example.org', action: 'save' }
    t.equal((await postForm(fixture, sam, '/prefs', own)).status, 303)
    await visit(fixture, sam)
    t.strictSame(await knownUsers(fixture), { sam: ['Sam Студент', 'sam@example.edu'] })
    const page = await send(fixture, { target: '/prefs/localization', from: sam })
    t.match(
      page.body,
      /<option[^>]*selected[^>]*value="GMT \+5:00"|<option[^>]*value="GMT \+5:00"[^>]*selected/,
    )
  })

  await t.test(`${server} carries nothing of an anonymous visitor into an account`, async (t) => {
    const fixture = await startFixture(t, server)
    const cookie = ['Cookie', 'trac_session=0123456789abcdef; trac_form_token=abc'] as const
    const typed = 'name=Mallory&email=mallory@example.org&action=save&__FORM_TOKEN=abc'
    const call = { target: '/prefs', method: 'POST', body: typed, headers: [cookie] }
    t.equal((await send(fixture, call)).status, 303)
    t.match((await send(fixture, { target: '/prefs', headers: [cookie] })).body, 'Mallory')
    for (const from of [student, { ...student, user: 'ines', name: 'Ines' }]) {
      t.equal((await send(fixture, { target: '/prefs', from, headers: [cookie] })).status, 200)
    }
    const known = { sam: [null, null], ines: ['Ines', null] }
    t.strictSame(await knownUsers(fixture), known)
    t.match((await send(fixture, { target: '/prefs', headers: [cookie] })).body, 'Mallory', 'kept')
  })

  await t.test(`${server} stores no malformed address`, async (t) => {
    const fixture = await startFixture(t, server)
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
      t.equal(await visit(fixture, { ...student, email, name: 'a\nb' }), 200)
    }
    const users = await knownUsers(fixture)
    t.strictSame(users, { sam: [null, null] })
  })

  await t.test(`${server} stores no address for nobody, nor with write_email off`, async (t) => {
    const fixture = await startFixture(t, server)
    t.equal(await visit(fixture, { ...sam, user: '' }), 200)
    t.strictSame(await knownUsers(fixture), {})
    await setIni(fixture.environment, 'trac_gateway', 'write_email', 'false')
    t.equal(await visit(fixture, sam), 200)
    t.strictSame(await knownUsers(fixture), { sam: [null, null] })
  })

  await t.test(`${server} sends the mail of a ticket to the address from the token`, async (t) => {
    const sink = await startMailSink(t)
    const fixture = await startFixture(t, server, {
      ini: {
        notification: {
          smtp_enabled: 'true',
          smtp_server: '127.0.0.1',
          smtp_port: String(sink.port),
          smtp_from: 'trac@example.edu',
        },
        'notification-subscriber': {
          always_notify_owner: 'TicketOwnerSubscriber',
          always_notify_reporter: 'TicketReporterSubscriber',
        },
      },
    })
    const ticket = { field_summary: 'Please look', field_type: 'task', submit: 'Create' }
    t.equal(await visit(fixture, sam), 200)
    const owned = { ...ticket, field_owner: 'sam' }
    t.equal((await postForm(fixture, admin, '/newticket', owned)).status, 303)
    t.strictSame((await sink.next()).to, ['sam@example.edu'], 'to the owner')
    const ines = { ...student, user: 'ines', email: 'ines@example.edu' }
    t.equal((await postForm(fixture, ines, '/newticket', ticket)).status, 303)
    const mail = await sink.next()
    t.strictSame(mail.to, ['ines@example.edu'], 'to somebody whose first request it is')
    t.match(mail.text, 'Please look')
  })
}
