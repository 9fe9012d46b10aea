/**
 * The move of a Trac with Basic behind the gateway, step by step with the four configurations that are shipped, and back
 * again after each step (deploy/docs/roll-out).
 */
import { createHash } from 'node:crypto'
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { bridgeFile, startServer } from '../../src/demo/trac.js'
import type { Overlay } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { root } from '../fixtures/root.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { askPython, both, setIni, startFixture, testKey } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'
import { ask } from '../fixtures/wire.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'

const password = 'a password of carl'
const basic = `Basic ${Buffer.from(`carl:${password}`).toString('base64')}`
const sha1 = createHash('sha1').update(password).digest('base64')

/** Trac's own order, and the one in which both ways work. */
const before =
  'DefaultWikiPolicy, DefaultTicketPolicy, DefaultPermissionPolicy, LegacyAttachmentPolicy'
const beside =
  'DefaultWikiPolicy, DefaultTicketPolicy, LegacyAttachmentPolicy, TracGatewayPolicy, DefaultPermissionPolicy'
const after = 'DefaultWikiPolicy, DefaultTicketPolicy, TracGatewayPolicy, LegacyAttachmentPolicy'

/** Grants rights in Trac's database, as `trac-admin permission add` does. */
const grant = `import json, sys
from trac.env import Environment
from trac.perm import PermissionSystem
system = PermissionSystem(Environment(sys.argv[1]))
for action in sys.argv[3:]:
    system.grant_permission(sys.argv[2], action)
print(json.dumps(True))`

/** A shipped configuration, without what is the test's own: addresses, names, secrets. */
async function overlayOf(file: string, carl: string): Promise<Overlay> {
  const text = await readFile(`${root}deploy/docs/roll-out/${file}.yaml`, 'utf8')
  const shipped = parse(text) as {
    mode?: string
    permissions: object
    routes: object[]
    upstreams: { trac: { legacyAuth?: boolean; signature?: string; signingKeys?: object[] } }
  }
  const { legacyAuth = false, signature = 'v1', signingKeys } = shipped.upstreams.trac
  return {
    mode: shipped.mode ?? 'enforce',
    permissions: { ...shipped.permissions, anonymous: [] },
    routes: shipped.routes,
    upstreams: {
      trac: {
        legacyAuth,
        signature,
        ...(signingKeys === undefined ? { signingKeys: [] } : {}),
      },
    },
    identity: { username: { emailLocalPart: 'example.edu', aliases: { [carl]: 'carl' } } },
  }
}

/** How Trac is set up in a step. */
async function setUp({ environment }: Fixture, step: 'before' | 'beside' | 'after') {
  const ini = (section: string, name: string, value: string | undefined) =>
    setIni(environment, section, name, value)
  const plugin = join(environment, 'plugins', 'trac_gateway.py')
  if (step === 'before') await rm(plugin, { force: true })
  else await copyFile(bridgeFile, plugin)
  await ini('trac', 'request_filters', step === 'before' ? undefined : 'TracGateway')
  await ini('trac', 'permission_policies', { before, beside, after }[step])
  await ini('components', 'trac.web.auth.loginmodule', step === 'after' ? 'disabled' : 'enabled')
  await ini('trac_gateway', 'legacy', step === 'beside' ? 'true' : undefined)
}

/** tracd with Basic at `/login`, as people run it. */
async function startBehindBasic({ environment, python }: Fixture) {
  const port = await freePort()
  const passwords = join(environment, 'htpasswd')
  await writeFile(passwords, `carl:{SHA}${sha1}\n`)
  const start = async () => {
    const stop = await startServer(
      python,
      [
        ...`-m trac.web.standalone --hostname=127.0.0.1 --port=${port} --base-path=/trac`.split(
          ' ',
        ),
        ...[`--basic-auth=*,${passwords},trac`, '--single-env', environment],
      ],
      port,
    )
    // Python has crashed (SIGSEGV, one start of thirty) when the first requests of a tracd came at once.
    await fetch(`http://127.0.0.1:${port}/trac/wiki`)
    return stop
  }
  return { url: `http://127.0.0.1:${port}`, start }
}

/** The token of Trac's forms on a page. */
const formToken = ({ text }: Answer): string =>
  /name="__FORM_TOKEN"[^>]*value="([0-9a-f]+)"/.exec(text)?.[1] ?? ''

/** What the forms of a page send without being asked. */
function hiddenFields({ text }: Answer): Record<string, string> {
  const inputs = text.match(/<input[^>]*type="hidden"[^>]*>/g) ?? []
  const value = (input: string, name: string) =>
    new RegExp(`\\s${name}="([^"]*)"`).exec(input)?.[1] ?? ''
  return Object.fromEntries(inputs.map((input) => [value(input, 'name'), value(input, 'value')]))
}

for (const server of both) {
  await t.test(`${server}: a Trac with Basic moves in four steps, and back`, async (t) => {
    const trac = await startFixture(t, server, { basePath: '/trac' })
    const { url: tracUrl, start } = await startBehindBasic(trac)
    await setUp(trac, 'before')
    await askPython(
      trac.python,
      grant,
      trac.environment,
      'carl',
      ...['TICKET_CREATE', 'TICKET_APPEND', 'REPORT_VIEW'],
    )
    await askPython(trac.python, grant, trac.environment, 'anonymous', 'WIKI_VIEW', 'TICKET_VIEW')
    let stop = await start()
    t.teardown(() => stop())
    const restart = async () => {
      await stop()
      stop = await start()
    }
    const s = await stage(t, {
      provider: 'cognito',
      upstream: { url: tracUrl },
      api: 'own',
      signingKey: testKey,
      // Taken from the shipped file below.
      overlay: { routes: [] },
    })
    await setIni(trac.environment, 'trac', 'base_url', s.url)
    const carlsAccount = s.sam
    const to = async (file: string) => {
      const isTaken = await s.gateway.reload(await overlayOf(file, carlsAccount.sub))
      if (!isTaken) throw new Error(`the gateway refuses ${file}.yaml`)
    }

    const carl = new Visitor()
    /** Signs in by Basic, as a browser does that was asked for a password. */
    const signInByBasic = async (who: Visitor) => {
      const asked = await who.open(`${s.url}/login`)
      t.match(asked.headers, { 'www-authenticate': /^Basic realm="trac"/i })
      t.equal(asked.status, 401)
      const answer = await who.open(`${s.url}/login`, { headers: { authorization: basic } })
      t.match(answer.status, /^30[23]$/)
      t.ok(who.cookies(s.url).has('trac_auth'))
    }
    const createTicket = async (who: Visitor, summary: string) => {
      const form = await who.open(`${s.url}/newticket`)
      const fields = { __FORM_TOKEN: formToken(form), field_summary: summary, field_type: 'defect' }
      const body = new URLSearchParams({ ...fields, submit: 'create' }).toString()
      return who.submit(`${s.url}/newticket`, body)
    }
    const nameOf = async (who: Visitor) =>
      /logged in as <[^>]*>([^<]*)</.exec((await page(who, '/wiki')).text)?.[1]
    const apiStatus = async (...lines: string[]) =>
      (await ask(s.gateway, 'GET /trac/api/courses', lines)).status
    const page = async (who: Visitor, path: string) => who.open(s.url + path)

    let first = ''
    await t.test('1: programs call the API, and Trac is as it was', async (t) => {
      await to('1-api')
      t.equal(await apiStatus(await s.bearerOf(s.ivan)), 200)
      t.equal(await apiStatus(), 401, 'enforced there')
      t.equal(await apiStatus(`Authorization: ${basic}`), 401)
      await signInByBasic(carl)
      const created = await createTicket(carl, 'Made by carl with Basic')
      t.equal(created.status, 303, created.text.slice(0, 300))
      first = created.location
      const ticket = await carl.open(first)
      const comment = {
        ...hiddenFields(ticket),
        ...{ action: 'leave', comment: 'Said by carl with Basic', submit: 'save' },
      }
      t.equal((await carl.submit(first, new URLSearchParams(comment).toString())).status, 303)
      const form = await page(carl, '/prefs/localization')
      const tz = { tz: 'GMT +5:00', __FORM_TOKEN: formToken(form), action: 'save' }
      await carl.submit(`${s.url}/prefs/localization`, new URLSearchParams(tz).toString())
      // Trac's own way to watch: mail about whatever he is in the copy of.
      const watch = {
        ...{ __FORM_TOKEN: formToken(form), action: 'add-rule_email' },
        ...{ 'new-rule-email': 'CarbonCopySubscriber', 'new-adverb-email': 'always' },
      }
      await carl.submit(`${s.url}/prefs/notification`, new URLSearchParams(watch).toString())
      t.equal((await page(new Visitor(), '/wiki/WikiStart')).status, 200, 'as the database says')
      t.equal((await page(new Visitor(), '/report')).status, 403, 'by Trac itself')
      const { lines } = s.gateway
      t.ok(lines.some(({ via, user }) => via === 'legacy' && user === undefined))
    })

    await t.test('2: both ways in, and the log says what would be refused', async (t) => {
      await setUp(trac, 'beside')
      await restart()
      await to('2-watch')
      t.equal((await page(carl, '/report')).status, 200, 'by what Trac has stored')
      t.equal((await page(carl, '/admin')).status, 404, 'it has no panel for him')
      t.equal(await nameOf(carl), 'carl')
      t.notMatch((await page(carl, '/wiki')).text, /client\.js/, 'there is no session to renew')
      const alice = await s.signIn(s.alice)
      t.equal(await nameOf(alice), 'Alice Admin')
      t.equal((await page(alice, '/wiki')).text.match(/logged in as/g)?.length, 1)
      t.equal((await page(alice, '/admin/general/perm')).status, 200, 'by her group')
      // What Trac has stored does not add to the groups, and the other way round.
      await askPython(trac.python, grant, trac.environment, 'ivan', 'TICKET_ADMIN')
      const ivan = await s.signIn(s.ivan)
      t.not((await page(ivan, '/admin/ticket/components')).status, 200)
      t.match((await page(new Visitor(), '/wiki')).text, /href="\/trac\/login"/)
      t.equal((await page(new Visitor(), '/report')).status, 403, 'nobody is sent to sign in')
      t.ok(s.gateway.lines.some(({ shadow }) => shadow === 'ERR_LOGIN_REQUIRED'))
      await setUp(trac, 'before')
      await restart()
      await to('1-api')
      t.equal((await page(carl, '/report')).status, 200, 'and back')
      await setUp(trac, 'beside')
      await restart()
      await to('2-watch')
    })

    await t.test('3: the policy holds, Basic still works', async (t) => {
      await to('3-all')
      const visitor = await page(new Visitor(), '/report')
      t.equal(visitor.status, 302, 'visitors are sent to sign in')
      t.equal((await page(carl, '/report')).status, 200)
      const later = await createTicket(carl, 'Made by carl in the third step')
      t.equal(later.status, 303)
      const alice = await s.signIn(s.alice)
      // A cookie of Trac's beside a session of ours says nothing.
      alice.cookies(s.url).set('trac_auth', carl.cookies(s.url).get('trac_auth')!)
      t.equal(await nameOf(alice), 'Alice Admin')
      const out = await page(alice, '/login?referer=%2Ftrac%2Freport')
      t.match(out, { status: 302, location: /\/auth\/login\?return_to=%2Ftrac%2Freport$/ })
      const left = await alice.submit(`${s.url}/logout`)
      t.match(left, { status: 307, location: `${s.url}/auth/logout` })
      await to('2-watch')
      t.equal((await page(new Visitor(), '/report')).status, 403, 'and back')
      await to('3-all')
    })

    await t.test('4: the old way is gone, and people keep their names', async (t) => {
      await setUp(trac, 'after')
      await restart()
      await to('4-done')
      t.equal((await page(carl, '/report')).status, 302, 'trac_auth is nobody')
      const old = await new Visitor().open(`${s.url}/report`, { headers: { authorization: basic } })
      t.equal(old.status, 302)
      const again = await s.signIn(carlsAccount)
      t.match((await page(again, '/auth/session')).text, /\bcarl\b/)
      t.match(
        (await page(again, '/prefs/localization')).text,
        /selected="selected" value="GMT \+5:00"|value="GMT \+5:00" selected/,
      )
      const rulesOf = async (who: Visitor) =>
        (await page(who, '/prefs/notification')).text.match(/value="delete-rule_/g)?.length ?? 0
      const others = await rulesOf(await s.signIn(s.ivan))
      t.equal(await rulesOf(again), others + 1, 'what he watches')
      const shown = await again.open(first)
      t.match(shown.text, /Made by carl with Basic/)
      t.match(shown.text, /Said by carl with Basic/)
      t.match(shown.text, /"comment_history":\{"0":\{"author":"carl"/, 'the comment’s author')
      const mine = await page(again, '/query?reporter=carl&order=id')
      t.match(mine.text, /Made by carl with Basic/)
      t.match(mine.text, /Made by carl in the third step/)
      await setUp(trac, 'beside')
      await restart()
      await to('3-all')
      // By the database alone: not by what his session brought, nor by what is stored for its groups.
      await askPython(trac.python, grant, trac.environment, 'carl', 'MILESTONE_ADMIN')
      await askPython(trac.python, grant, trac.environment, 'students', 'TICKET_ADMIN')
      t.equal((await page(carl, '/report')).status, 200, 'and back')
      t.equal((await page(carl, '/admin/ticket/milestones')).status, 200)
      t.not((await page(carl, '/admin/ticket/components')).status, 200)
    })
  })
}
