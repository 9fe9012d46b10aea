/** The options of Trac's own log-in, which the operator's page says can stay or go: who reads them, and who does not. */
import { t } from '../fixtures/tap.js'
import { nobody, send, student } from '../fixtures/signed.js'
import { askPython, both, setIni, startFixture } from '../fixtures/tracs.js'

/** All of them, set to what would be seen. */
const options = {
  check_auth_ip: 'true',
  ignore_auth_case: 'true',
  auth_cookie_lifetime: '3600',
  auth_cookie_path: '/',
  auth_cookie_domain: 'example.edu',
}

/** Somebody who had signed in by Trac's own log-in before the gateway came. */
const leftoverProgram = `
import json, sys, time
from trac.env import Environment
env = Environment(sys.argv[1])
env.db_transaction("INSERT INTO auth_cookie (cookie, name, ipnr, time) VALUES (%s, %s, %s, %s)",
                   ('leftover', 'alice', '127.0.0.1', int(time.time())))
print(json.dumps(True))`

/** A commit that closes ticket 1; answers the ticket's state and who changed it last. */
const commitProgram = `
import json, sys
from datetime import datetime
from trac.env import Environment
from trac.ticket.model import Ticket
from trac.util.datefmt import utc
from tracopt.ticket.commit_updater import CommitTicketUpdater
env = Environment(sys.argv[1])
class Repository(object):
    reponame = ''
    def display_rev(self, rev):
        return rev
class Changeset(object):
    rev, author, message = '1', u'Alice', u'Closes #1.'
    date = datetime.now(utc)
CommitTicketUpdater(env).changeset_added(Repository(), Changeset())
ticket = Ticket(env, 1)
print(json.dumps([ticket['status']] + [entry[1] for entry in ticket.get_changelog()][-1:]))`

for (const server of both) {
  await t.test(
    `check_auth_ip, ignore_auth_case and auth_cookie_* of ${server} change nobody`,
    async (t) => {
      const fixture = await startFixture(t, server, { ini: { trac: options } })
      await askPython(fixture.python, leftoverProgram, fixture.environment)
      const cookies = [[], [['Cookie', 'trac_auth=leftover']], [['Cookie', 'trac_auth=x']]] as const
      for (const headers of cookies) {
        for (const user of ['Sam', 'sam', 'SAM']) {
          const page = await send(fixture, {
            from: { ...student, user },
            target: '/wiki/WikiStart',
            headers,
          })
          t.equal(page.status, 200)
          t.match(page.body, new RegExp(`logged in as\\s*(?:<[^>]+>)?${user}<`))
          t.strictSame(
            page.cookies.filter((one) => one.startsWith('trac_auth')),
            [],
          )
        }
        const refused = await send(fixture, { from: nobody, target: '/wiki/WikiStart', headers })
        t.equal(refused.status, 403)
        t.notMatch(refused.body, /logged in as/)
      }
    },
  )

  await t.test(
    `the commit updater of ${server} reads ignore_auth_case and grants nothing`,
    async (t) => {
      const fixture = await startFixture(t, server)
      const { python, environment } = fixture
      const commit = () => askPython(python, commitProgram, environment)
      t.strictSame(await commit(), ['new'], 'who commits has no rights here')
      await setIni(environment, 'ticket', 'commit_ticket_update_check_perms', 'false')
      t.strictSame(await commit(), ['closed', 'Alice'])
      await setIni(environment, 'trac', 'ignore_auth_case', 'true')
      t.strictSame(await commit(), ['closed', 'alice'])
    },
  )
}
