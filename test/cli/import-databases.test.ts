/** `trac-gateway import` and the bridge on a Trac whose database is PostgreSQL or MariaDB, and with users of AccountManager. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createEnvironment, startTracd } from '../../src/demo/trac.js'
import { callCommand } from '../fixtures/call.js'
import { databasePassword, startMariadb, startPostgres } from '../fixtures/databases.js'
import { importEnv, imported, seedGrants } from '../fixtures/imported.js'
import { freePort } from '../fixtures/ports.js'
import { postForm, send, sendUnsigned, student } from '../fixtures/signed.js'
import {
  askPython,
  copyEnvironment,
  pythonOf,
  pythonWithExtras,
  setIni,
  testKey,
} from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

const publicUrl = 'https://trac.example.edu'

/** All that an import wrote, by file, without `export.json`: that says which settings Trac has. */
const written = ({ textOf }: Awaited<ReturnType<typeof imported>>) =>
  ['gateway.yaml', 'trac.ini.lines', 'reserve-names.sh'].map(textOf)

const onSqlite = await (async () => {
  const { environment, python } = await copyEnvironment(t, '1.6')
  await setIni(environment, 'trac', 'base_url', publicUrl)
  const may = await seedGrants(python, environment)
  const args = ['--env', environment, '--python', python]
  return { may, ...(await imported(args, join(t.testdir({}), 'moved'))) }
})()

/** The bridge in this environment lets somebody do what the gateway signs, whatever Trac's table says. */
async function provesBridge(t: Test, environment: string, python: string) {
  const port = await freePort()
  const { stop } = await startTracd({ environment, python, port, basePath: '' })
  t.teardown(stop)
  const fixture: Fixture = {
    server: 'tracd 1.6',
    ...{ port, base: '', host: `127.0.0.1:${port}`, environment, python },
  }
  const page = await send(fixture, { target: '/wiki/WikiStart', from: student })
  t.match(page, { status: 200, body: 'Welcome to the course' })
  t.match(await sendUnsigned(fixture, { target: '/wiki/WikiStart' }), { status: 403 })

  const fields = { field_summary: 'Größe 🎓', field_type: 'task', submit: '1' }
  // Trac's table makes her an administrator.
  const withoutRight = { user: 'alice', perms: ['TICKET_VIEW'] }
  t.match(await postForm(fixture, withoutRight, '/newticket', fields), { status: 403 })
  const made = await postForm(fixture, student, '/newticket', fields)
  t.equal(made.status, 303)
  t.match(made.headers.get('location'), /\/ticket\/4$/)
  const ticket = await send(fixture, { target: '/ticket/4?format=csv', from: student })
  t.match(ticket, { status: 200, body: 'Größe 🎓' })
  t.match(ticket.body, ',sam,')
  await stop()
}

for (const [name, start, refused] of [
  [
    'PostgreSQL',
    startPostgres,
    /OperationalError: connection .*Connection refused; wanted Trac's data/,
  ],
  ['MariaDB', startMariadb, /OperationalError: .*Connection refused.*; wanted Trac's data/],
] as const) {
  await t.test(`Trac on ${name}: import writes what it writes on SQLite`, async (t) => {
    const server = await start(t)
    const python = await pythonWithExtras()
    const folder = t.testdir({})
    const environment = join(folder, 'env')
    const keys = [testKey]
    await createEnvironment({ environment, python, keys, publicUrl, database: server.url })
    t.strictSame(await seedGrants(python, environment), onSqlite.may, 'Trac says the same')

    const out = join(folder, 'moved')
    const args = ['--env', environment, '--python', python]
    const one = await imported(args, out)
    t.strictSame(one.groups, onSqlite.groups)
    t.strictSame(one.people, onSqlite.people)
    t.strictSame(one.names, onSqlite.names)
    t.strictSame(one.left, onSqlite.left)
    t.strictSame(written(one), written(onSqlite))
    t.match(one.yaml, 'developers: ', 'there is something to compare')

    t.match(readFileSync(join(environment, 'conf', 'trac.ini'), 'utf8'), databasePassword)
    for (const file of readdirSync(out)) t.notMatch(one.textOf(file), databasePassword, file)
    const toPeople = await callCommand(
      'import',
      [...args, '--out', join(folder, 'text')],
      importEnv,
    )
    t.equal(toPeople.code, 0)
    t.notMatch(toPeople.out + toPeople.err, databasePassword, 'nor is it printed')

    await t.test('the bridge honours what the gateway signs', (t) =>
      provesBridge(t, environment, python),
    )

    await t.test(
      'a database that is down, and a Python without its driver, are named',
      async (t) => {
        await server.stop()
        const fails = async (python: string, told: RegExp) => {
          const again = ['--env', environment, '--python', python, '--out', join(folder, 'none')]
          const { code, out, err } = await callCommand('import', again, importEnv)
          t.equal(code, 1)
          t.match(err, told)
          t.notMatch(out + err, databasePassword)
        }
        await fails(python, refused)
        await fails(
          await pythonOf('1.6'),
          /Unsupported database type .*wanted a Python that has Trac and the driver of its database/,
        )
      },
    )
  })
}

/** Gives people passwords, as AccountManager's pages do. */
const setPasswords = `
import sys
from trac.env import Environment
from acct_mgr.db import SessionStore
from acct_mgr.htfile import HtPasswdStore
env = Environment(sys.argv[1])
HtPasswdStore(env).set_password('frank', sys.argv[2])
SessionStore(env).set_password('gina', sys.argv[2])
SessionStore(env).set_password('alice', sys.argv[2])
print('null')
env.shutdown()
`

/** A store of the site's own that can't be asked just now. */
const directoryStore = `
from trac.core import Component, implements
from acct_mgr.api import IPasswordStore

class DirectoryStore(Component):
    implements(IPasswordStore)
    def get_users(self):
        raise OSError('a-password-of-people is wrong')
`

await t.test('users of AccountManager become stubs of aliases', async (t) => {
  const { environment } = await copyEnvironment(t, '1.6')
  const python = await pythonWithExtras()
  for (const [section, option, value] of [
    ['components', 'acct_mgr.*', 'enabled'],
    ['account-manager', 'password_store', 'HtPasswdStore, DirectoryStore, SessionStore'],
    ['account-manager', 'htpasswd_file', 'conf/people'],
  ] as const) {
    await setIni(environment, section, option, value)
  }
  writeFileSync(join(environment, 'plugins', 'directory_store.py'), directoryStore)
  await seedGrants(python, environment)
  await askPython(python, setPasswords, environment, 'a-password-of-people')
  const out = join(t.testdir({}), 'moved')
  const one = await imported(['--env', environment, '--python', python], out)
  for (const line of [
    '#|   SUB: alice # alice@example.edu\n',
    '#|   SUB: frank\n',
    '#|   SUB: gina\n',
  ]) {
    t.ok(one.yaml.includes(line), line)
  }
  t.match(one.textOf('reserve-names.sh'), / alice .* frank gina /)
  t.match(one.told, 'users of directory_store.DirectoryStore (OSError): it could not list them')
  // Its own sign-in would win over the gateway's.
  t.match(one.textOf('trac.ini.lines'), 'acct_mgr.web_ui.loginmodule = disabled')
  const all = readdirSync(out).map(one.textOf).join('')
  const [, hash = ''] = readFileSync(join(environment, 'conf', 'people'), 'utf8').split(/[:\n]/)
  t.ok(hash.length > 12)
  t.notOk(all.includes(hash) || all.includes('a-password-of-people'), 'no password comes along')
})
