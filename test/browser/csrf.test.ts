/** What other sites can make a real Chromium send: nothing of it writes, whether the cookie rides along or not. */
import { t } from '../fixtures/tap.js'
import { createServer } from 'node:http'
import { connect, createServer as createRelay } from 'node:net'
import type { Socket } from 'node:net'
import type { BrowserContext, Page } from 'playwright-core'
import { startBrowser } from '../fixtures/browser.js'
import { listen } from '../fixtures/listen.js'
import { send } from '../fixtures/signed.js'
import { stage } from '../fixtures/stage.js'
import { startFixture, testKey } from '../fixtures/tracs.js'
import { until } from '../fixtures/until.js'

t.setTimeout(600_000)

// ── Trac, the gateway, and between them a relay that keeps what Trac was asked ───────────────────────

const trac = await startFixture(t, 'tracd 1.6', { basePath: '/trac' })
let asked = ''
const sockets = new Set<Socket>()
const relay = createRelay((near) => {
  const far = connect(trac.port, '127.0.0.1')
  for (const socket of [near, far]) {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
  }
  near.on('data', (chunk) => (asked += chunk.toString('latin1')))
  near.pipe(far).pipe(near)
})
const relayUrl = `http://127.0.0.1:${await listen(relay)}`
t.teardown(() => {
  for (const socket of sockets) socket.destroy()
  relay.close()
})
const { gateway, url } = await stage(t, {
  provider: 'cognito',
  upstream: { url: relayUrl },
  signingKey: testKey,
})

/** Requests that reached Trac under somebody's name and say that they write. */
function writesSeen(): string[] {
  const heads = asked.match(/^[A-Z]+ \/\S* HTTP\/1\.1\r\n(?:.+\r\n)*/gm) ?? []
  return heads
    .filter((head) => /^X-Trac-User: \S/im.test(head))
    .map((head) => head.slice(0, head.indexOf(' HTTP')))
    .filter((line) => !/^(?:GET|HEAD) /.test(line) || line.includes('edit_comment'))
}

// ── A server under two names: another site, and another origin of the same site ──────────────────────

/** Pages of the attacker, by path. */
const pages = new Map<string, string>()
const attacker = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://attacker')
  const to = searchParams.get('to')
  if (pathname === '/bounce' && to !== null) response.writeHead(307, { location: to }).end()
  else response.setHeader('content-type', 'text/html').end(pages.get(pathname) ?? '')
})
const attackerPort = await listen(attacker)
/** By what the session's cookie says of sites. The shell does not send one with `SameSite=None` over plain HTTP. */
const browsers = { Lax: await startBrowser(), None: await startBrowser('whole') }
t.teardown(async () => {
  for (const browser of Object.values(browsers)) await browser.close()
  attacker.closeAllConnections()
  attacker.close()
})

/** Where an attack comes from, and when the victim's cookie rides along. */
interface Place {
  readonly name: string
  readonly origin: string
  /** `None`: as in a browser that does not know SameSite. */
  readonly sameSite: 'Lax' | 'None'
  /** `ours`: whatever a page of a named origin sends; `navigation`: a POST that opens a page, and nothing beside it. */
  readonly rides: 'never' | 'navigation' | 'ours'
}

const otherSite = `http://127.0.0.1:${attackerPort}`
const places: readonly Place[] = [
  { name: 'another site', origin: otherSite, sameSite: 'Lax', rides: 'never' },
  {
    name: 'another site, in a browser without SameSite',
    origin: otherSite,
    sameSite: 'None',
    rides: 'navigation',
  },
  {
    name: 'another port of this host',
    origin: `http://localhost:${attackerPort}`,
    sameSite: 'Lax',
    rides: 'ours',
  },
]

/** A browser in which Alice has signed in and been to Trac. */
async function signIn(place: Place): Promise<BrowserContext> {
  const context = await browsers[place.sameSite].newContext()
  const page = await context.newPage()
  await page.goto(`${url}/auth/login?return_to=/trac/wiki/WikiStart`)
  await page.fill('input[name=email]', 'alice@example.edu')
  await page.fill('input[type=password]', 'alice-demo')
  await page.click('button')
  await page.waitForURL(`${url}/wiki/WikiStart`)
  const cookies = await context.cookies(url)
  await context.addCookies(
    cookies.map((cookie) => ({
      ...cookie,
      ...(place.sameSite === 'None' ? { sameSite: 'None' as const, secure: true } : {}),
    })),
  )
  await page.close()
  return context
}

async function formToken(context: BrowserContext): Promise<string> {
  const cookies = await context.cookies(url)
  return cookies.find(({ name }) => name === 'trac_form_token')?.value ?? ''
}

/** Opens a page of the attacker's in the victim's browser. */
async function attack(context: BrowserContext, place: Place, html: string): Promise<Page> {
  const path = `/attack-${pages.size}`
  pages.set(path, `<!DOCTYPE html><title>attack</title>${html}`)
  const page = await context.newPage()
  // What the attack opens may take the place of its own page before that is whole.
  await page.goto(place.origin + path, { waitUntil: 'commit' })
  return page
}

/** Closes it once it shows the answer: a browser that is between two pages may not take leave of them. */
async function leave(page: Page, kind: LoginState['kind']): Promise<void> {
  if (kind === 'navigation') {
    await page.waitForURL(({ pathname }) => pathname.startsWith('/trac/'))
  }
  await page.close()
}

type Line = Readonly<Record<string, unknown>>

/** The lines of such requests in the gateway's log. */
const linesOf = (method: string, path: string): readonly Line[] =>
  gateway.lines.filter(
    (line) => line['msg'] === 'request' && line['method'] === method && line['path'] === path,
  )

/** Waits for one of them. */
async function lineOf(method: string, path: string, skip = 0): Promise<Line> {
  await until(() => linesOf(method, path).length > skip, `${method} ${path}`)
  return linesOf(method, path)[skip] ?? {}
}

const fields = (token: string): Readonly<Record<string, string>> => ({
  action: 'edit',
  version: '0',
  text: 'Defaced.',
  comment: '',
  save: 'Submit changes',
  __FORM_TOKEN: token,
})

const inputs = (values: Readonly<Record<string, string>>): string =>
  Object.entries(values)
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`)
    .join('')

const submitted = (form: string): string =>
  `${form}<script>HTMLFormElement.prototype.submit.call(document.forms[0])</script>`

interface LoginState {
  readonly name: string
  /** How the browser sends it: opening a page with it, beside one, or from an origin that belongs to no site. */
  readonly kind: 'navigation' | 'beside' | 'nameless'
  readonly html: (target: string, values: Readonly<Record<string, string>>) => string
}

/** Ways of a page to have a POST sent that needs nobody's leave. */
const attempts: readonly LoginState[] = [
  {
    name: 'a form',
    kind: 'navigation',
    html: (target, values) =>
      submitted(`<form method="post" action="${target}">${inputs(values)}</form>`),
  },
  {
    name: 'a form with parts',
    kind: 'navigation',
    html: (target, values) =>
      submitted(
        `<form method="post" enctype="multipart/form-data" action="${target}">${inputs(values)}</form>`,
      ),
  },
  {
    name: 'a form in a hidden frame',
    kind: 'beside',
    html: (target, values) =>
      submitted(
        `<iframe name="hidden" hidden></iframe><form method="post" target="hidden" action="${target}">${inputs(values)}</form>`,
      ),
  },
  {
    name: 'a form that hides where it is from',
    kind: 'navigation',
    html: (target, values) =>
      submitted(
        `<meta name="referrer" content="no-referrer"><form method="post" action="${target}">${inputs(values)}</form>`,
      ),
  },
  {
    name: 'a form in a frame without an origin',
    kind: 'nameless',
    html: (target, values) => {
      const inner = submitted(`<form method="post" action="${target}">${inputs(values)}</form>`)
      return `<iframe sandbox="allow-forms allow-scripts" srcdoc="${inner.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}"></iframe>`
    },
  },
  {
    name: 'a form that is sent on by 307',
    kind: 'navigation',
    html: (target, values) =>
      submitted(
        `<form method="post" action="/bounce?to=${encodeURIComponent(target)}">${inputs(values)}</form>`,
      ),
  },
  {
    name: 'fetch without CORS',
    kind: 'beside',
    html: (target, values) =>
      `<script>fetch('${target}', { method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams(${JSON.stringify(values)}) })</script>`,
  },
  {
    name: 'fetch with CORS',
    kind: 'beside',
    html: (target, values) =>
      `<script>fetch('${target}', { method: 'POST', credentials: 'include', body: new URLSearchParams(${JSON.stringify(values)}) })</script>`,
  },
  {
    name: 'XMLHttpRequest',
    kind: 'beside',
    html: (target, values) =>
      `<script>const x = new XMLHttpRequest(); x.open('POST', '${target}'); x.withCredentials = true; x.send(new URLSearchParams(${JSON.stringify(values)}))</script>`,
  },
  {
    name: 'a beacon',
    kind: 'beside',
    html: (target, values) =>
      `<script>navigator.sendBeacon('${target}', new URLSearchParams(${JSON.stringify(values)}))</script>`,
  },
]

/** A GET that needs nobody's leave either; what opens a page brings even a Lax cookie. */
const reads: readonly LoginState[] = [
  { name: 'an image', kind: 'beside', html: (target) => `<img src="${target}">` },
  { name: 'a script', kind: 'beside', html: (target) => `<script src="${target}"></script>` },
  { name: 'a frame', kind: 'beside', html: (target) => `<iframe src="${target}"></iframe>` },
  {
    name: 'a link',
    kind: 'navigation',
    html: (target) => `<a href="${target}">x</a><script>document.links[0].click()</script>`,
  },
  {
    name: 'a form',
    kind: 'navigation',
    html: (target) => {
      const values = Object.fromEntries(new URL(target).searchParams)
      return submitted(`<form action="${target}">${inputs(values)}</form>`)
    },
  },
  {
    name: 'a redirect',
    kind: 'navigation',
    html: (target) => `<script>location = '/bounce?to=${encodeURIComponent(target)}'</script>`,
  },
  {
    name: 'fetch without CORS',
    kind: 'beside',
    html: (target) =>
      `<script>fetch('${target}', { mode: 'no-cors', credentials: 'include' })</script>`,
  },
]

const ticketCall = JSON.stringify({
  method: 'ticket.create',
  params: ['Defaced.', '', {}],
  id: 1,
})

/** A POST to a remote call or to an endpoint of our own. */
interface Call extends LoginState {
  readonly path: string
  /** The refusal of a request without the cookie. */
  readonly otherwise: string
}

const emptyForm = (target: string) => submitted(`<form method="post" action="${target}"></form>`)

const fetchCall = (type: string) => (target: string) =>
  `<script>fetch('${target}', { method: 'POST', mode: 'no-cors', credentials: 'include', headers: { 'content-type': '${type}' }, body: '${ticketCall}' })</script>`

const calls: readonly Call[] = [
  {
    name: 'a call in a form of plain text',
    kind: 'navigation',
    path: '/trac/rpc',
    otherwise: 'ERR_LOGIN_REQUIRED',
    html: (target) =>
      submitted(
        `<form method="post" enctype="text/plain" action="${target}"><input type="hidden" name='${ticketCall.slice(0, -1)},"x":"' value='"}'></form>`,
      ),
  },
  {
    name: 'a call by fetch as plain text',
    kind: 'beside',
    path: '/trac/login/rpc',
    otherwise: 'ERR_LOGIN_REQUIRED',
    html: fetchCall('text/plain'),
  },
  {
    name: 'a call by fetch that asks for a type which it may not have',
    kind: 'beside',
    path: '/trac/jsonrpc',
    otherwise: 'ERR_LOGIN_REQUIRED',
    html: fetchCall('application/json'),
  },
  {
    name: 'signing out',
    kind: 'navigation',
    path: '/trac/logout',
    otherwise: 'ERR_CROSS_SITE',
    html: emptyForm,
  },
  {
    name: 'signing out by our own address',
    kind: 'navigation',
    path: '/trac/auth/logout',
    otherwise: 'ERR_CROSS_SITE',
    html: emptyForm,
  },
  {
    name: 'renewing',
    kind: 'navigation',
    path: '/trac/auth/refresh',
    otherwise: 'ERR_CREDENTIAL_MISSING',
    html: emptyForm,
  },
]

/** Whether a POST brings the cookie. */
const brings = (place: Place, kind: LoginState['kind']): boolean =>
  kind === 'navigation' ? place.rides !== 'never' : kind === 'beside' && place.rides === 'ours'

const ticket = '/trac/ticket/1'
const defacing = `${ticket}?edit_comment=1&cnum_edit=1&edited_comment=Defaced.`

/** Pages that would stand in Trac now if an attack had worked. */
const targets: string[] = []

for (const place of places) {
  await t.test(`no request that ${place.name} may send unasked writes`, async (t) => {
    const context = await signIn(place)
    t.teardown(() => context.close())
    const token = await formToken(context)
    t.match(token, /^[0-9a-f]{16,}$/, 'the attacker knows even the form token')

    for (const { name, kind, html } of attempts) {
      const path = `/trac/wiki/Attack${targets.length}`
      targets.push(path)
      const page = await attack(context, place, html(gateway.origin + path, fields(token)))
      const line = await lineOf('POST', path)
      await leave(page, kind)
      if (brings(place, kind)) {
        t.match(line, { via: 'session', status: 403, code: 'ERR_CROSS_SITE' }, name)
      } else t.match(line, { via: undefined, status: /^4\d\d$/ }, name)
    }

    for (const { name, kind, html } of reads) {
      const before = linesOf('GET', ticket).length
      const page = await attack(context, place, html(gateway.origin + defacing, {}))
      const line = await lineOf('GET', ticket, before)
      await leave(page, kind)
      t.match(line, { status: 403, code: 'ERR_UNSAFE_GET' }, `the GET that writes, by ${name}`)
      const rides = kind === 'navigation' || place.rides === 'ours'
      t.equal(line['via'], rides ? 'session' : undefined, name)
    }

    for (const { name, kind, path, otherwise, html } of calls) {
      const before = linesOf('POST', path).length
      const page = await attack(context, place, html(gateway.origin + path, {}))
      const line = await lineOf('POST', path, before)
      await leave(page, kind)
      const code = brings(place, kind) ? 'ERR_CROSS_SITE' : otherwise
      t.match(line, { status: /^40\d$/, code }, name)
    }
    t.match(
      await (await context.request.get(`${url}/auth/session`)).json(),
      { user: 'alice' },
      'and Alice is still signed in',
    )
  })

  await t.test(`what needs our leave is not even sent from ${place.name}`, async (t) => {
    const context = await browsers[place.sameSite].newContext()
    t.teardown(() => context.close())
    const page = await attack(context, place, '')
    for (const [i, [method, type]] of [
      ['POST', 'application/json'],
      ['POST', 'text/xml'],
      ['PUT', 'text/plain'],
      ['DELETE', 'text/plain'],
    ].entries()) {
      const path = `/trac/wiki/Preflight${targets.length}-${i}`
      const sent = page.evaluate(
        ([to = '', verb = '', kind = '']) =>
          fetch(to, {
            method: verb,
            credentials: 'include',
            headers: { 'content-type': kind },
            body: '{}',
          }),
        [gateway.origin + path, method ?? '', type ?? ''],
      )
      await t.rejects(sent, { message: /Failed to fetch/ })
      t.match(await lineOf('OPTIONS', path), { via: undefined })
      t.strictSame(linesOf(method ?? '', path), [], `${method} ${type}`)
    }
  })
}

/** Somebody to whom Trac says that a page does not exist. */
const reader = { user: 'reader', perms: ['WIKI_VIEW', 'TICKET_VIEW'] }

await t.test('no attack has written, and our own form does', async (t) => {
  t.equal(targets.length, places.length * attempts.length)
  for (const target of targets) {
    t.equal((await send(trac, { from: reader, target })).status, 404, target)
  }
  t.strictSame(writesSeen(), [])
  t.notMatch(asked, /edit_comment|ticket\.create/)
  const context = await signIn(places[0]!)
  t.teardown(() => context.close())
  const page = await context.newPage()
  await page.goto(`${url}/wiki/Own?action=edit`)
  await page.fill('#text', 'Written here.')
  await page.click('input[name=save]')
  await page.waitForURL(/\/wiki\/Own(?:\?version=1)?$/)
  t.match((await send(trac, { from: reader, target: '/trac/wiki/Own' })).body, 'Written here.')
  t.strictSame(writesSeen(), ['POST /trac/wiki/Own'])
})
