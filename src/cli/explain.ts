/** `trac-gateway explain`: what would become of a request, and why. */
import { readFileSync } from 'node:fs'
import type { Report } from '../app/ask/report.js'
import { WishFault, judgeWish } from '../app/ask/wish.js'
import type { Wish } from '../app/ask/wish.js'
import { loadConfig } from '../config/load.js'
import { ConfigProblems } from '../config/problems.js'
import type { Config } from '../config/schema.js'
import type { PublicUrl } from '../core/public-url.js'
import { askAdmin } from './admin-client.js'
import { WrongUse } from './command.js'
import type { Call } from './command.js'
import { readCurl } from './curl.js'
import { explainText } from './explain-text.js'
import { failed } from './output.js'

/** Standard input, for `-`. */
const readInput = (): string => readFileSync(0, 'utf8').trim()

/** The value of an option that may be `-`. */
function given(call: Call, option: string): string | undefined {
  const value = call.text(option)
  return value === '-' ? readInput() : value
}

/** A list in one option, or in several. */
const listOf = (call: Call, option: string): readonly string[] | undefined => {
  const values = call.texts(option)
  if (values.length === 0) return undefined
  return values.flatMap((value) => value.split(',')).filter((value) => value !== '')
}

function toHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(':')
  if (colon <= 0)
    throw new WrongUse(`found the header ${JSON.stringify(text)}; wanted "Name: value"`)
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()]
}

/** A target as it is typed: a whole address, one with the base path, or one below it. */
export function toTarget(text: string, { base }: Pick<PublicUrl, 'base'>): string {
  const path = /^https?:\/\/[^/?#]*(?<rest>[^#]*)/i.exec(text)?.groups?.['rest']
  if (path !== undefined) return path.startsWith('/') ? path : `/${path}`
  const isWhole = text === base || text.startsWith(`${base}/`) || text.startsWith(`${base}?`)
  return isWhole || !text.startsWith('/') ? text : base + text
}

/** What a whole address says besides its path. */
function headersOf(url: string, { secure }: PublicUrl): readonly (readonly [string, string])[] {
  const { protocol = '', host = '' } =
    /^(?<protocol>https?):\/\/(?<host>[^/?#]*)/i.exec(url)?.groups ?? {}
  if (host === '') return []
  const isPlain = secure && protocol.toLowerCase() === 'http'
  return [['Host', host], ...(isPlain ? [['X-Forwarded-Proto', 'http'] as const] : [])]
}

/** What a browser sends with a link that somebody follows. */
export const browserHeaders = [
  ['Accept', 'text/html,application/xhtml+xml,*/*;q=0.8'],
  ['Sec-Fetch-Mode', 'navigate'],
  ['Sec-Fetch-Site', 'same-origin'],
] as const

/** The request itself: of a `curl` line, or of operand and options. */
function requestOf(call: Call, address: PublicUrl): Pick<Wish, 'method' | 'target' | 'headers'> {
  const line = given(call, 'curl')
  const [typed] = call.operands
  const more = call.texts('header').map(toHeader)
  if (line !== undefined) {
    if (typed !== undefined)
      throw new WrongUse('found a target and a curl line; wanted one of them')
    const { url, method, headers } = readCurl(line)
    const whole = /^https?:/i.test(url) ? url : `http://${url}`
    return {
      method,
      target: toTarget(whole, address),
      headers: [...headersOf(whole, address), ...headers, ...more],
    }
  }
  if (typed === undefined) throw new WrongUse('found no target; wanted one, such as /ticket/7')
  const [first = '', second] = call.operands
  const hasMethod = second !== undefined && /^[A-Z-]+$/.test(first)
  if (second !== undefined && !hasMethod) throw new WrongUse('found two targets; wanted one')
  const target = hasMethod ? second : first
  return {
    method: hasMethod ? first : (call.text('method') ?? 'GET'),
    target: toTarget(target, address),
    headers: [
      ...headersOf(target, address),
      ...(call.flag('browser') ? browserHeaders : []),
      ...more,
    ],
  }
}

/** What the command line asks. @throws WrongUse */
function wishOf(call: Call, { server }: Config, cookieName: (value: string) => string): Wish {
  const via = call.text('via')
  const cookie = given(call, 'cookie')
  const parts = {
    user: call.text('user'),
    groups: listOf(call, 'groups'),
    permissions: listOf(call, 'permissions'),
    scopes: listOf(call, 'scopes'),
    via: via === 'session' || via === 'bearer' ? via : undefined,
    token: given(call, 'token')?.replace(/^bearer /i, ''),
    cookie: cookie === undefined ? undefined : cookieName(cookie),
    peer: call.text('peer'),
    anonymous: call.flag('anonymous') || undefined,
    online: call.flag('online') || undefined,
  }
  const known = Object.entries(parts).filter(([, value]) => value !== undefined)
  const wish = { ...Object.fromEntries(known), ...requestOf(call, server.publicUrl) }
  try {
    return judgeWish(wish)
  } catch (error) {
    if (error instanceof WishFault) throw new WrongUse(error.message)
    throw error
  }
}

/** A fault that is told as it stands. */
class Told extends Error {}

async function askRunning({ admin }: Config, wish: Wish): Promise<Report> {
  const { listen, token } = admin
  if (token === undefined) throw new Told('admin.token is not set, so the gateway explains nothing')
  const { status, body } = await askAdmin(listen, token, '/explain', wish).catch((error: Error) => {
    throw new Told(
      `the admin listener can't be reached (${error.message}): is the gateway running?`,
    )
  })
  if (status === 200) return body as unknown as Report
  throw new Told(typeof body['message'] === 'string' ? body['message'] : `status ${status}`)
}

/** What only a running gateway knows. */
const unknownHere =
  'nobody has a name yet, and no session or token was revoked: only the gateway that runs knows (--running)'

async function askHere(config: Config, wish: Wish): Promise<Report> {
  if (wish.cookie !== undefined && config.session.store === 'redis') {
    throw new Told('sessions are in Redis: ask the gateway that runs, with --running')
  }
  const { explainOffline } = await import('../app/ask/offline.js')
  const explain = await explainOffline(config, wish.online === true)
  const report = await explain(wish)
  const isSomebody = report.identity.via !== 'none'
  return isSomebody ? { ...report, assumed: [...report.assumed, unknownHere] } : report
}

/** The same header, or the session cookie's value under its name. */
async function toCookie({ server, identity }: Config): Promise<(value: string) => string> {
  const { nameCookies } = await import('../session/cookies.js')
  const { session } = nameCookies(server.publicUrl.url, identity.issuer, identity.clientId)
  return (value) => (value.includes('=') ? value : `${session}=${value}`)
}

/**
 * Explains one request.
 * @returns the exit code: 0 if there is an answer, 1 if not, or if the configuration can't be used
 */
export async function explain(call: Call): Promise<number> {
  const { out, env } = call
  try {
    const { config } = loadConfig(call.text('config') ?? '', { env })
    const wish = wishOf(call, config, await toCookie(config))
    const report = call.flag('running')
      ? await askRunning(config, wish)
      : await askHere(config, wish)
    const asJson = () => `${JSON.stringify(report, undefined, 2)}\n`
    out.print(call.flag('json') ? asJson() : explainText(report, out.paint))
    return 0
  } catch (error) {
    if (error instanceof ConfigProblems) return failed(call, error.message)
    if (error instanceof Told) return failed(call, error.message)
    throw error
  }
}
