/**
 * A Trac that is told who somebody is by a proxy moves behind the gateway and back, by the commands of
 * deploy/docs/guides/moving-from.md and deploy/docs/guides/trac-side.md, and nothing else.
 */
import { execFile } from 'node:child_process'
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

/** A way that people come by. */
interface Way {
  readonly heading: string
  /** What Trac has in `plugins/` before. */
  readonly plugins: Readonly<Record<string, string>>
  /** How Trac is served before; behind the gateway it is tracd. */
  readonly server: 'tracd' | 'apache'
}
const ways: readonly Way[] = [
  {
    heading: 'From oauth2-proxy with a header plugin',
    plugins: { 'header_user.py': headerPlugin },
    server: 'tracd',
  },
  { heading: 'From mod_auth_openidc', plugins: {}, server: 'apache' },
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

/** Takes everything of the gateway's away, and lets Trac believe the proxy. */
async function setUpBefore({ environment }: Fixture, { plugins }: Way) {
  const folder = join(environment, 'plugins')
  await rm(join(folder, 'trac_gateway.py'))
  await rm(join(environment, 'conf', 'trac_gateway.keys'))
  for (const [name, text] of Object.entries(plugins)) await writeFile(join(folder, name), text)
  await setIni(environment, 'trac', 'request_filters', undefined)
  await setIni(environment, 'trac', 'permission_policies', undefined)
  await setIni(environment, 'trac_gateway', 'key_file', undefined)
  await setIni(environment, 'components', 'trac.web.auth.loginmodule', 'enabled')
}

/** Follows the page of Trac's side. */
async function setUpTracSide({ environment }: Fixture, follow: (commands: string) => unknown) {
  const keys = join(environment, 'gateway.keys')
  for (const [section, name, value] of settings) {
    await setIni(environment, section, name, name === 'key_file' ? keys : value)
  }
  await follow(makeKeyFile.replace('k1', testKey.id).replace('/etc/trac/gateway.keys', keys))
}

for (const server of both) {
  for (const way of ways) {
    await t.test(`${server}: ${way.heading}, and back`, async (t) => {
      const [swap = '', back = ''] = blocksOf(sectionOf(guide, way.heading), 'sh')
      const trac = await startFixture(t, server, { basePath: '/trac' })
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

      const proxied = async (path: string, user: string) =>
        new Visitor().open(`${site.url}/trac${path}`, { headers: { 'x-forwarded-user': user } })
      /** What people have there: their name, what was granted to them and their group, and no more. */
      const asBefore = async () => ({
        name: /logged in as <[^>]*>([^<]*)</.exec((await proxied('/about', 'carl')).text)?.[1],
        report: (await proxied('/report', 'carl')).status,
        milestones: (await proxied('/admin/ticket/milestones', 'carl')).status,
        components: (await proxied('/admin/ticket/components', 'carl')).status,
        others: (await proxied('/report', 'dora')).status,
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
          await setUpTracSide(trac, site.follow)
        })
        t.equal((await proxied('/report', 'carl')).status, 403, 'the header is nobody’s word')
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
