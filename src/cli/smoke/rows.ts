/** The table of what `smoke` tries at a gateway. Each row asks by HTTP alone, and changes nothing but what it says. */
import type { Milliseconds } from '../../core/clock.js'
import type { PublicUrl } from '../../core/public-url.js'
import type { Credentials, Role } from './credentials.js'
import { answerText, jsonOf } from './http.js'
import type { Answer, Ask } from './http.js'

/** What became of a row. */
export type Outcome = 'passed' | 'failed' | 'not tried'

/** A row's result, with its reason in words. */
export interface Verdict {
  readonly outcome: Outcome
  readonly detail: string
}

/** Where and with what to try. */
export interface Site {
  readonly address: PublicUrl
  readonly ask: Ask
  readonly credentials: Credentials
  /** Somebody's, if there is a cookie at hand. */
  readonly browser: Browser | undefined
  /** Paths below the base path; undefined where the site has none. */
  readonly apiPath: string | undefined
  readonly adminPath: string | undefined
  readonly pagePath: string
  /** Requests whose median is taken. */
  readonly requests: number
  readonly maxLatency: Milliseconds | undefined
}

/** A row of the table. */
export interface Row {
  readonly id: string
  readonly title: string
  readonly run: (site: Site) => Promise<Verdict>
}

const passed = (detail: string): Verdict => ({ outcome: 'passed', detail })
const failed = (detail: string): Verdict => ({ outcome: 'failed', detail })
const notTried = (detail: string): Verdict => ({ outcome: 'not tried', detail })

/** What was found and wanted, and what may help. */
function unlike(answer: Answer, wanted: string, hint = ''): Verdict {
  return failed(`found ${answerText(answer)}; wanted ${wanted}${hint === '' ? '' : `. ${hint}`}`)
}

const isFine = ({ status }: Answer): boolean => status >= 200 && status < 300
const bearer = (token: string) => ({ authorization: `Bearer ${token}`, accept: 'application/json' })

/** What a browser sends with a link that somebody follows (https://www.w3.org/TR/fetch-metadata/). */
const navigation = {
  accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-site': 'none',
}

/** The option that brings each person's token. */
const options: Readonly<Record<Role, string>> = {
  user: '--token-file',
  admin: '--admin-token-file',
  student: '--student-token-file',
}

/** The token of a person, or why there is none. */
function tokenOf({ credentials }: Site, role: Role): { token: string } | Verdict {
  const token = credentials.tokens[role]?.token
  if (token !== undefined) return { token }
  const why = credentials.failed[role]
  return notTried(
    why === undefined
      ? `no token at hand (${options[role]}, or --cognito-client-id)`
      : 'the sign-in at Cognito failed',
  )
}

/** A row that needs somebody's token. */
const withToken =
  (role: Role, run: (site: Site, token: string) => Promise<Verdict>) => async (site: Site) => {
    const found = tokenOf(site, role)
    return 'token' in found ? run(site, found.token) : found
  }

/** Who a token is, in words; undefined if the gateway does not take it. */
async function nameOf({ ask }: Site, token: string) {
  const answer = await ask('/auth/session', { headers: bearer(token) })
  const { user, groups, permissions, via } = jsonOf(answer)
  if (answer.status !== 200 || typeof user !== 'string') return { answer, user: '', text: '' }
  const names = Array.isArray(groups) && groups.length > 0 ? groups.join(', ') : 'no group'
  const count = Array.isArray(permissions) ? permissions.length : 0
  return { answer, user, via, text: `${user} (${names}; ${count} permissions)` }
}

async function reach({ ask }: Site): Promise<Verdict> {
  const answer = await ask('/auth/healthz')
  return answer.status === 200 && answer.text.trim() === 'ok'
    ? passed(`in ${answer.milliseconds.toFixed(1)} ms`)
    : unlike(answer, '200 ok at /auth/healthz', 'Is this the address with the base path?')
}

async function signInByPassword({ credentials }: Site): Promise<Verdict> {
  const why = Object.entries(credentials.failed).map(([role, text]) => `${role}: ${text}`)
  return why.length === 0 ? passed('everybody has tokens') : failed(why.join('; '))
}

async function anonymousPage({ ask, address, pagePath }: Site): Promise<Verdict> {
  const answer = await ask(pagePath, { headers: navigation })
  const to = answer.headers.location ?? ''
  const target = to === '' ? '' : new URL(to, address.url).href
  if (answer.status === 302 && target.startsWith(`${address.url}/auth/login?`)) {
    return passed(`${pagePath} asks to sign in`)
  }
  return isFine(answer)
    ? passed(`${pagePath} is shown`)
    : unlike(answer, `${pagePath} shown, or 302 to sign in`, 'Is Trac up (--page-path)?')
}

async function leadsToProvider({ ask, address }: Site): Promise<Verdict> {
  const answer = await ask('/auth/login', { headers: navigation })
  const to = answer.headers.location ?? ''
  if (answer.status < 300 || answer.status > 399 || !URL.canParse(to)) {
    return unlike(answer, 'a redirect to the provider')
  }
  const { protocol, host, searchParams } = new URL(to)
  const lacks = ['client_id', 'state', 'nonce', 'code_challenge'].filter(
    (name) => (searchParams.get(name) ?? '') === '',
  )
  if (lacks.length > 0) return failed(`the address at ${host} lacks ${lacks.join(', ')}`)
  const back = searchParams.get('redirect_uri')
  const wanted = `${address.url}/auth/callback`
  if (back !== wanted) return failed(`found redirect_uri ${back}; wanted ${wanted}`)
  if (address.secure && protocol !== 'https:') return failed(`found ${protocol}; wanted https:`)
  return passed(`at ${host}, back to ${wanted}`)
}

async function whoIs(site: Site, token: string): Promise<Verdict> {
  const { answer, text } = await nameOf(site, token)
  return text === ''
    ? unlike(answer, '200', 'Is it a token of identity.clientId that has not expired?')
    : passed(text)
}

async function nobodyHasSession({ ask }: Site): Promise<Verdict> {
  const answer = await ask('/auth/session', { headers: { accept: 'application/json' } })
  const challenge = answer.headers['www-authenticate'] ?? ''
  return answer.status === 401 && challenge.startsWith('Bearer')
    ? passed(`401, ${challenge}`)
    : unlike(answer, '401 with WWW-Authenticate: Bearer')
}

/** ID and access token must be one person (deploy/docs/guides/programs.md). */
async function onePerson(site: Site, token: string): Promise<Verdict> {
  const idToken = site.credentials.tokens.user?.idToken
  if (idToken === undefined) return notTried('no ID token beside it (--cognito-client-id)')
  const [one, other] = [await nameOf(site, token), await nameOf(site, idToken)]
  if (other.user === '') return unlike(other.answer, '200 for the ID token')
  return one.user === other.user
    ? passed(`both are ${one.user}`)
    : failed(`found ${one.user} by the access token, and ${other.user} by the ID token`)
}

const noApi = notTried('there is none (--api-path none)')

async function api({ ask, apiPath }: Site, token: string): Promise<Verdict> {
  if (apiPath === undefined) return noApi
  const answer = await ask(apiPath, { headers: bearer(token) })
  return isFine(answer)
    ? passed(`${answer.status} at ${apiPath}`)
    : unlike(answer, `2xx at ${apiPath}`, '--api-path names another address; none: there is no API')
}

/** A token with one character of its signature changed; what has no signature gets one. */
function spoil(token: string): string {
  const end = token.lastIndexOf('.') + 1
  const at = end + Math.floor((token.length - end) / 2)
  return `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
}

/** A bad token is refused everywhere, and never taken for nobody (RFC 6750 §3). */
async function badToken({ ask, apiPath, pagePath }: Site, token: string): Promise<Verdict> {
  const spoiled = spoil(token)
  for (const path of ['/auth/session', pagePath, ...(apiPath === undefined ? [] : [apiPath])]) {
    const answer = await ask(path, { headers: bearer(spoiled) })
    const challenge = answer.headers['www-authenticate'] ?? ''
    const isRefused = answer.status === 401 && challenge.includes('error="invalid_token"')
    if (!isRefused) return unlike(answer, `401 with error="invalid_token" at ${path}`)
  }
  return passed('401 with error="invalid_token"')
}

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Whether Trac's page is for who asked. */
function judgePage(answer: Answer, path: string, user: string): Verdict {
  if (!isFine(answer)) return unlike(answer, `${path} shown`, '--page-path names another page')
  if (answer.text.includes(escapeHtml(user))) return passed(`${path} is shown to ${user}`)
  return /href="[^"]*\/login"/.test(answer.text)
    ? failed(
        `found Trac’s Login on ${path}; wanted "logged in as ${user}". Is trac_gateway.py in Trac’s plugins?`,
      )
    : passed(`${path} is shown; it does not say to whom`)
}

async function pageWithToken(site: Site, token: string): Promise<Verdict> {
  const { answer, user } = await nameOf(site, token)
  if (user === '') return unlike(answer, '200 at /auth/session')
  const headers = { ...bearer(token), accept: 'text/html' }
  return judgePage(await site.ask(site.pagePath, { headers }), site.pagePath, user)
}

const noAdmin = notTried('there is none (--admin-path none)')

async function adminMay(site: Site, token: string): Promise<Verdict> {
  const { ask, adminPath } = site
  if (adminPath === undefined) return noAdmin
  const { text } = await nameOf(site, token)
  const answer = await ask(adminPath, { headers: bearer(token) })
  return isFine(answer)
    ? passed(`${adminPath} is shown to ${text}`)
    : unlike(answer, `${adminPath} shown to ${text}`, 'Has a group of theirs TRAC_ADMIN?')
}

async function studentMayNot(site: Site, token: string): Promise<Verdict> {
  const { ask, adminPath } = site
  if (adminPath === undefined) return noAdmin
  const { text } = await nameOf(site, token)
  const answer = await ask(adminPath, { headers: bearer(token) })
  return answer.status === 403
    ? passed(`403 at ${adminPath} for ${text}`)
    : unlike(answer, `403 at ${adminPath} for ${text}`)
}

async function refresh(site: Site): Promise<Verdict> {
  const { refreshToken, tokens } = site.credentials
  if (refreshToken === undefined) {
    return notTried('no refresh token at hand (--refresh-token-file, or --cognito-client-id)')
  }
  const answer = await site.ask('/auth/refresh', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ refresh_token: refreshToken }),
  })
  const { access_token: fresh, expires_in: life, code } = jsonOf(answer)
  if (code === 'ERR_REFRESH_DISABLED') return notTried('it is off (identity.publicRefresh)')
  if (answer.status !== 200 || typeof fresh !== 'string') return unlike(answer, '200 with tokens')
  const renewed = await nameOf(site, fresh)
  if (renewed.user === '') return unlike(renewed.answer, '200 for the new token')
  const before = tokens.user === undefined ? renewed : await nameOf(site, tokens.user.token)
  return renewed.user === before.user || before.user === ''
    ? passed(`a new token of ${renewed.user} for ${String(life)} s`)
    : failed(`found a token of ${renewed.user}; wanted one of ${before.user}`)
}

/** A browser that has signed in: what answers set goes along with the next request. */
export class Browser {
  readonly #cookies = new Map<string, string>()
  readonly #ask: Ask

  /** @param line the `Cookie` header that it begins with */
  constructor(ask: Ask, line: string) {
    this.#ask = ask
    for (const part of line.split(';')) this.#take(part)
  }

  #take(part: string): void {
    const equals = part.indexOf('=')
    if (equals > 0) this.#cookies.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim())
  }

  /** What it would send now; a cookie without a value is deleted. */
  get cookie(): string {
    const all = [...this.#cookies].filter(([, value]) => value !== '')
    return all.map(([name, value]) => `${name}=${value}`).join('; ')
  }

  /** Asks, and keeps what the answer sets. */
  async send(path: string, method: string, headers: Readonly<Record<string, string>>) {
    const answer = await this.#ask(path, { method, headers: { ...headers, cookie: this.cookie } })
    for (const line of answer.headers['set-cookie'] ?? []) this.#take(line.split(';', 1)[0] ?? '')
    return answer
  }
}

const noCookie = notTried(
  'no session at hand (--cookie-file with the Cookie header of a browser that has signed in)',
)

/** A row that needs somebody's browser. */
const withBrowser =
  (run: (site: Site, browser: Browser) => Promise<Verdict>) =>
  async (site: Site): Promise<Verdict> =>
    site.browser === undefined ? noCookie : run(site, site.browser)

const asProgram = { accept: 'application/json' }

/** Whose session it is; undefined if it is nobody's. */
async function ownerOf(browser: Browser) {
  const answer = await browser.send('/auth/session', 'GET', asProgram)
  const { user } = jsonOf(answer)
  return { answer, user: answer.status === 200 && typeof user === 'string' ? user : undefined }
}

async function session(_: Site, browser: Browser): Promise<Verdict> {
  const { answer, user } = await ownerOf(browser)
  return user === undefined ? unlike(answer, '200 for the cookie') : passed(`it is ${user}’s`)
}

async function sessionPage({ pagePath }: Site, browser: Browser): Promise<Verdict> {
  const { answer, user } = await ownerOf(browser)
  if (user === undefined) return unlike(answer, '200 at /auth/session')
  return judgePage(await browser.send(pagePath, 'GET', navigation), pagePath, user)
}

/** As the script of our pages asks for it. */
async function renewal({ address }: Site, browser: Browser): Promise<Verdict> {
  const answer = await browser.send('/auth/refresh', 'POST', { origin: address.origin })
  const { expires_in: life } = jsonOf(answer)
  return answer.status === 200 && typeof life === 'number'
    ? passed(`for ${life} s`)
    : unlike(answer, '200 with expires_in')
}

/** The cookie counts no more after it, whoever kept a copy. */
async function logOut({ ask, address }: Site, browser: Browser): Promise<Verdict> {
  const { cookie } = browser
  const { answer, user } = await ownerOf(browser)
  if (user === undefined) return unlike(answer, '200 before the log-out')
  const out = await browser.send('/auth/logout', 'POST', { origin: address.origin })
  if (out.status !== 303) return unlike(out, '303 to sign out at the provider')
  const to = new URL(out.headers.location ?? '', address.url)
  const back = `${address.url}/auth/signed-out`
  if (to.href !== back && ![...to.searchParams.values()].includes(back)) {
    return failed(`found the way out ${to.host}${to.pathname}; wanted one back to ${back}`)
  }
  const after = await ask('/auth/session', { headers: { ...asProgram, cookie } })
  return after.status === 401
    ? passed(`of ${user} by way of ${to.host}; then 401 for a copy of the cookie`)
    : unlike(after, '401 for a copy of the cookie')
}

async function foreignLogOut({ ask }: Site): Promise<Verdict> {
  const headers = { origin: 'https://elsewhere.invalid', accept: 'application/json' }
  const answer = await ask('/auth/logout', { method: 'POST', headers })
  return answer.status === 403
    ? passed('403 for a form of another site')
    : unlike(answer, '403 for a form of another site')
}

const medianOf = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

async function latency({ ask, requests, maxLatency }: Site, token: string): Promise<Verdict> {
  // The first one verifies the token, and all the others find it.
  await ask('/auth/session', { headers: bearer(token) })
  const [warm, bare]: [number[], number[]] = [[], []]
  for (let i = 0; i < requests; i++) {
    const answer = await ask('/auth/session', { headers: bearer(token) })
    if (answer.status !== 200) return unlike(answer, `200 for each of ${requests} requests`)
    warm.push(answer.milliseconds)
    bare.push((await ask('/auth/healthz')).milliseconds)
  }
  const median = medianOf(warm)
  const text = `median of ${requests}: ${median.toFixed(1)} ms; ${medianOf(bare).toFixed(1)} ms without a token`
  return maxLatency === undefined || median <= maxLatency
    ? passed(text)
    : failed(`${text}; wanted ${maxLatency} ms at most (--max-latency)`)
}

/** The row after which no other makes sense if it fails. */
export const reached: Row = { id: 'reached', title: 'the gateway answers', run: reach }

/** Only where passwords were given. */
export const passwordRow: Row = {
  id: 'password',
  title: 'sign-in at Cognito by password',
  run: signInByPassword,
}

/** All the others, in the order in which they are tried. */
export const rows: readonly Row[] = [
  { id: 'anonymous-page', title: 'a page, to nobody', run: anonymousPage },
  { id: 'sign-in', title: 'sign-in leads to the provider', run: leadsToProvider },
  { id: 'no-token', title: 'no token is nobody', run: nobodyHasSession },
  { id: 'token', title: 'a token is somebody', run: withToken('user', whoIs) },
  { id: 'one-person', title: 'ID token and access token', run: withToken('user', onePerson) },
  { id: 'api', title: 'API with a token', run: withToken('user', api) },
  { id: 'bad-token', title: 'a bad token is refused', run: withToken('user', badToken) },
  { id: 'page', title: 'a page, signed in', run: withToken('user', pageWithToken) },
  { id: 'admin', title: 'an administrator may', run: withToken('admin', adminMay) },
  { id: 'student', title: 'a student may not', run: withToken('student', studentMayNot) },
  { id: 'refresh', title: 'refresh', run: refresh },
  { id: 'session', title: 'a browser’s session', run: withBrowser(session) },
  { id: 'session-page', title: 'a page, in that browser', run: withBrowser(sessionPage) },
  { id: 'session-renewal', title: 'renewal of the session', run: withBrowser(renewal) },
  { id: 'log-out', title: 'log-out', run: withBrowser(logOut) },
  { id: 'foreign-log-out', title: 'log-out by another site', run: foreignLogOut },
  { id: 'latency', title: 'latency of a known token', run: withToken('user', latency) },
]
