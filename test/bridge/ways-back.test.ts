/**
 * A Trac whose people sign in in another way moves behind the gateway and back, by the commands of
 * deploy/docs/guides/moving-from.md and deploy/docs/guides/trac-side.md, and nothing else.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { bridgeFile, startServer } from '../../src/demo/trac.js'
import { blocksOf, readGuide, sectionOf, settingsOf } from '../fixtures/guides.js'
import { freePort } from '../fixtures/ports.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { both, setIni, startFixture, testKey } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'

const run = promisify(execFile)

const guide = await readGuide('moving-from')
const [keepCopy = ''] = blocksOf(sectionOf(guide, 'Keep a copy first'), 'sh')
const tracSide = await readGuide('trac-side')
const [makeKeyFile = '', clear = ''] = blocksOf(tracSide, 'sh')
const settings = settingsOf(blocksOf(tracSide, 'ini')[0] ?? '')

/** A plugin as people write it for oauth2-proxy. */
const headerPlugin = `from trac.core import Component, implements
from trac.web.api import IAuthenticator

class HeaderUser(Component):
    implements(IAuthenticator)

    def authenticate(self, req):
        return req.get_header('X-Forwarded-User')
`

/** Trac in an Apache that has signed somebody in, whom the header names here. */
const apache = `import sys
from wsgiref.simple_server import make_server
from trac.web.main import dispatch_request

def application(environ, start_response):
    user = environ.get('HTTP_X_FORWARDED_USER')
    if user:
        environ['REMOTE_USER'] = user
    environ['SCRIPT_NAME'], environ['PATH_INFO'] = '/trac', environ['PATH_INFO'][len('/trac'):]
    environ['trac.env_path'] = sys.argv[2]
    return dispatch_request(environ, start_response)

make_server('127.0.0.1', int(sys.argv[1]), application).serve_forever()
`

/** The token of Trac's forms on a page. */
const formToken = (text: string): string =>
  /name="__FORM_TOKEN"[^>]*value="([0-9a-f]+)"/.exec(text)?.[1] ?? ''

/** Opens a page of Trac as somebody. */
type OpenAs = (base: string, path: string, user: string) => Promise<Answer>

const byHeader: OpenAs = (base, path, user) =>
  new Visitor().open(base + path, { headers: { 'x-forwarded-user': user } })

const password = 'a password of carl'
const byForm: OpenAs = async (base, path, user) => {
  const visitor = new Visitor()
  const { text } = await visitor.open(`${base}/login`)
  const fields = { username: user, password, referer: '', __FORM_TOKEN: formToken(text) }
  await visitor.submit(`${base}/login`, new URLSearchParams(fields).toString())
  return visitor.open(base + path)
}

/** A way that people come by. */
interface Way {
  readonly heading: string
  readonly servers: readonly (typeof both)[number][]
  readonly openAs: OpenAs
  /** What the environment has besides: its own files, and settings with their sections. */
  readonly files: Readonly<Record<string, string>>
  readonly ini: readonly (readonly [section: string, name: string, value: string])[]
  /** Who signs people in, and has to be switched off, as `import` says. */
  readonly logins: readonly string[]
  /** How Trac is served before; behind the gateway it is tracd. */
  readonly server: 'tracd' | 'apache'
}

const byProxy = { servers: both, openAs: byHeader, logins: [] }
const ways: readonly Way[] = [
  {
    heading: 'From AccountManager',
    // The release for Trac 1.4 needs a Python of its time.
    servers: ['tracd 1.6'],
    openAs: byForm,
    files: { htpasswd: `carl:{SHA}${createHash('sha1').update(password).digest('base64')}\n` },
    ini: [
      ['components', 'acct_mgr.api.*', 'enabled'],
      ['components', 'acct_mgr.htfile.htpasswdstore', 'enabled'],
      ['components', 'acct_mgr.web_ui.loginmodule', 'enabled'],
      ['components', 'trac.web.auth.loginmodule', 'disabled'],
      ['account-manager', 'password_store', 'HtPasswdStore'],
      ['account-manager', 'htpasswd_file', 'htpasswd'],
    ],
    logins: ['acct_mgr.web_ui.loginmodule'],
    server: 'tracd',
  },
  {
    ...byProxy,
    heading: 'From oauth2-proxy with a header plugin',
    files: { 'plugins/header_user.py': headerPlugin },
    ini: [['components', 'trac.web.auth.loginmodule', 'enabled']],
    server: 'tracd',
  },
  {
    ...byProxy,
    heading: 'From mod_auth_openidc',
    files: {},
    ini: [['components', 'trac.web.auth.loginmodule', 'enabled']],
    server: 'apache',
  },
]

/** An operator's machine: a folder to work in, `trac-admin` in PATH, our plugin at hand, and Trac. */
async function startSite({ environment, python }: Fixture) {
  const folder = join(dirname(dirname(environment)), 'operator')
  await mkdir(join(folder, 'bin'), { recursive: true })
  const admin = `#!/bin/sh\nexec '${python}' -m trac.admin.console "$@"\n`
  await writeFile(join(folder, 'bin', 'trac-admin'), admin, { mode: 0o755 })
  await copyFile(bridgeFile, join(folder, 'trac_gateway.py'))
  await writeFile(join(folder, 'signing'), testKey.secret)
  const env = {
    ...process.env,
    LC_ALL: 'C.UTF-8',
    PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
  }
  /** Runs what the page says; every line must succeed. */
  const follow = async (commands: string) => {
    const here = commands.replaceAll(/\bENV\b/g, environment)
    return (await run('/bin/sh', ['-e', '-c', here], { cwd: folder, env })).stdout
  }
  const port = await freePort()
  const tracd = `-m trac.web.standalone --hostname=127.0.0.1 --port=${port} --base-path=/trac -s`
  const parameters = {
    tracd: [...tracd.split(' '), environment],
    apache: ['-c', apache, String(port), environment],
  }
  const start = (server: Way['server']) => startServer(python, parameters[server], port)
  return { url: `http://127.0.0.1:${port}`, follow, start }
}

/** Takes everything of the gateway's away, and sets Trac up as it was. */
async function setUpBefore({ environment }: Fixture, { files, ini }: Way) {
  await rm(join(environment, 'plugins', 'trac_gateway.py'))
  await rm(join(environment, 'conf', 'trac_gateway.keys'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(environment, name), text)
  await setIni(environment, 'trac', 'request_filters', undefined)
  await setIni(environment, 'trac', 'permission_policies', undefined)
  await setIni(environment, 'trac_gateway', 'key_file', undefined)
  for (const setting of ini) await setIni(environment, ...setting)
}

/** Follows the page of Trac's side. */
async function setUpTracSide(
  { environment }: Fixture,
  { logins }: Way,
  follow: (commands: string) => unknown,
) {
  const keys = join(environment, 'gateway.keys')
  for (const [section, name, value] of settings) {
    await setIni(environment, section, name, name === 'key_file' ? keys : value)
  }
  for (const login of logins) await setIni(environment, 'components', login, 'disabled')
  await follow(makeKeyFile.replace('k1', testKey.id).replace('/etc/trac/gateway.keys', keys))
}

for (const way of ways) {
  for (const server of way.servers) {
    await t.test(`${server}: ${way.heading}, and back`, async (t) => {
      const [swap = '', back = ''] = blocksOf(sectionOf(guide, way.heading), 'sh')
      const trac = await startFixture(t, server, {
        basePath: '/trac',
        withExtras: way.openAs === byForm,
      })
      await setUpBefore(trac, way)
      const site = await startSite(trac)
      await site.follow(
        'trac-admin ENV permission add carl TICKET_CREATE REPORT_VIEW developers\n' +
          'trac-admin ENV permission add developers MILESTONE_ADMIN',
      )
      let stop = await site.start(way.server)
      t.teardown(() => stop())
      const restartAfter = async (next: Way['server'], work: () => Promise<unknown>) => {
        await stop()
        await work()
        stop = await site.start(next)
      }

      const openAs = (path: string, user: string) => way.openAs(`${site.url}/trac`, path, user)
      /** What people have there: their name, what was granted to them and their group, and no more. */
      const asBefore = async () => ({
        name: /logged in as <[^>]*>([^<]*)</.exec((await openAs('/about', 'carl')).text)?.[1],
        report: (await openAs('/report', 'carl')).status,
        milestones: (await openAs('/admin/ticket/milestones', 'carl')).status,
        components: (await openAs('/admin/ticket/components', 'carl')).status,
        others: (await openAs('/report', 'dora')).status,
        grants: await site.follow('trac-admin ENV permission export'),
      })
      const before = await asBefore()
      t.match(before, { name: 'carl', report: 200, milestones: 200, others: 403 })
      t.not(before.components, 200)
      t.match(before.grants, /carl,.*REPORT_VIEW/)

      await t.test('there', async (t) => {
        await site.follow(keepCopy)
        await restartAfter('tracd', async () => {
          await site.follow(swap)
          await setUpTracSide(trac, way, site.follow)
        })
        t.equal((await openAs('/report', 'carl')).status, 403, 'not by the old way')
        const s = await stage(t, {
          provider: 'cognito',
          upstream: { url: site.url },
          signingKey: testKey,
          overlay: { identity: { username: { emailLocalPart: 'example.edu' } } },
        })
        const sam = await s.signIn(s.sam)
        const statusOf = async (path: string) => (await sam.open(s.url + path)).status
        t.match((await sam.open(`${s.url}/about`)).text, /logged in as/)
        t.equal(await statusOf('/report'), 200, 'by the group')
        await site.follow('trac-admin ENV permission add sam TICKET_ADMIN')
        t.not(await statusOf('/admin/ticket/components'), 200, 'stored grants do not count')
        await site.follow('trac-admin ENV permission remove sam TICKET_ADMIN')
        await site.follow(clear)
        t.notMatch(await site.follow('trac-admin ENV permission export'), /_VIEW/, 'cleared')
      })

      await t.test('and back', async (t) => {
        await restartAfter(way.server, () => site.follow(back))
        t.same(await asBefore(), before)
      })
    })
  }
}
