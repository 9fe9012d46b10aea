/** `trac-gateway smoke`: does a roll-out hold what it promises? Asked from outside, by HTTP alone. */
import { durationKind } from '../config/kinds/duration.js'
import { isLoopback } from '../core/host.js'
import { publicUrl } from '../core/public-url.js'
import type { PublicUrl } from '../core/public-url.js'
import { WrongUse } from './command.js'
import type { Call } from './command.js'
import { readCredentials } from './smoke/credentials.js'
import { Unreachable, createAsk } from './smoke/http.js'
import { Browser, passwordRow, reached, rows } from './smoke/rows.js'
import type { Outcome, Row, Site, Verdict } from './smoke/rows.js'

const marks = {
  passed: ['✓', 'good'],
  failed: ['✗', 'bad'],
  'not tried': ['·', 'dim'],
} as const satisfies Readonly<Record<Outcome, readonly [string, string]>>

/** A row with its result, as `--json` prints it. */
interface Tried extends Verdict {
  readonly id: string
  readonly title: string
}

/** The gateway's address. Tokens go there, so it must not be readable on the way. @throws WrongUse */
function addressOf(call: Call): PublicUrl {
  const text = call.text('url') ?? ''
  const address = publicUrl.parse(text)
  if (address === undefined) {
    throw new WrongUse(
      `found --url ${text}; wanted ${publicUrl.hint(text) ?? publicUrl.wanted}, as server.publicUrl has it`,
    )
  }
  if (address.secure || isLoopback(address.hostname)) return address
  throw new WrongUse(`found --url ${text}; wanted https://, since tokens go there`)
}

/** A path below the base path; `none` where there is none. @throws WrongUse */
function pathOf(call: Call, option: string): string | undefined {
  const text = call.text(option) ?? ''
  if (text === 'none') return undefined
  if (/^\/[\x21-\x7e]*$/.test(text)) return text
  throw new WrongUse(`found --${option} ${text}; wanted a path below --url, such as /api/, or none`)
}

function spanOf(call: Call, option: string): number | undefined {
  const text = call.text(option)
  if (text === undefined) return undefined
  const span = durationKind.parse(text)
  if (span !== undefined && span > 0) return span
  throw new WrongUse(`found --${option} ${text}; wanted ${durationKind.wanted}`)
}

function countOf(call: Call): number {
  const text = call.text('requests') ?? ''
  const count = Number(text)
  if (/^[0-9]{1,4}$/.test(text) && count > 0) return count
  throw new WrongUse(`found --requests ${text}; wanted a number from 1 to 9999`)
}

/** One row; what can't be asked fails with its reason. */
async function tryRow({ id, title, run }: Row, site: Site): Promise<Tried> {
  try {
    return { id, title, ...(await run(site)) }
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error
    return { id, title, outcome: 'failed', detail: error.message }
  }
}

/** All rows. Where no gateway answers, no token is sent. */
async function tryAll(site: Site, hear: (tried: Tried) => void): Promise<readonly Tried[]> {
  const all: Tried[] = []
  const take = (tried: Tried) => {
    all.push(tried)
    hear(tried)
  }
  const first = await tryRow(reached, site)
  take(first)
  const { failed, tokens } = site.credentials
  const byPassword = Object.keys(failed).length > 0 || tokens.user?.idToken !== undefined
  for (const row of [...(byPassword ? [passwordRow] : []), ...rows]) {
    const { id, title } = row
    if (first.outcome === 'passed') take(await tryRow(row, site))
    else take({ id, title, outcome: 'not tried', detail: 'no gateway answers' })
  }
  return all
}

const width = Math.max(...[passwordRow, reached, ...rows].map(({ title }) => title.length))

function lineOf({ title, outcome, detail }: Tried, paint: Call['out']['paint']): string {
  const [mark, tone] = marks[outcome]
  const text = outcome === 'not tried' ? `not tried: ${detail}` : detail
  return `${paint(tone, mark)} ${title.padEnd(width)}  ${text}\n`
}

/** What the last line says. */
function sumOf(tried: readonly Tried[]) {
  const count = (outcome: Outcome) => tried.filter((one) => one.outcome === outcome).length
  return { passed: count('passed'), failed: count('failed'), notTried: count('not tried') }
}

/**
 * Tries a gateway from outside.
 * @returns the exit code: 0 if nothing failed, 1 if something did. @throws WrongUse
 */
export async function smoke(call: Call): Promise<number> {
  const { out } = call
  const address = addressOf(call)
  const plan = {
    apiPath: pathOf(call, 'api-path'),
    adminPath: pathOf(call, 'admin-path'),
    pagePath: pathOf(call, 'page-path') ?? '/',
    requests: countOf(call),
    maxLatency: spanOf(call, 'max-latency'),
  }
  const timeout = spanOf(call, 'timeout') ?? 15_000
  const credentials = await readCredentials(call)
  const { ask, close } = createAsk(address, timeout)
  const isJson = call.flag('json')
  const hear = (one: Tried) => (isJson ? undefined : out.print(lineOf(one, out.paint)))
  const browser =
    credentials.cookie === undefined ? undefined : new Browser(ask, credentials.cookie)
  const site = { address, ask, credentials, browser, ...plan }
  const tried = await tryAll(site, hear).finally(close)
  const sum = sumOf(tried)
  const isGood = sum.failed === 0 && !(call.flag('strict') && sum.notTried > 0)
  if (isJson) {
    out.print(`${JSON.stringify({ url: address.url, ...sum, rows: tried }, undefined, 2)}\n`)
  } else {
    const text = `${sum.passed} passed, ${sum.failed} failed, ${sum.notTried} not tried`
    out.print(`\n${out.paint(isGood ? 'good' : 'bad', text)}\n`)
  }
  return isGood ? 0 : 1
}
