/** The way from the public address to the gateway that runs: what the front proxy makes of a request. */
import type { Milliseconds } from '../../core/clock.js'
import { errorHints } from '../../core/error-hints.js'
import { randomText } from '../../core/random.js'
import type { Arrived } from '../arrivals.js'
import { bad, good, notTried, wordsOf } from './row.js'
import type { Row } from './row.js'
import type { Site } from './site.js'

/** How long the way may take. */
const timeout: Milliseconds = 10_000

const see = 'see deploy/docs/guides/front-proxy.md'

/** What came back. */
interface Answer {
  readonly status: number
  readonly location: string
  /** Our own code, if it is ours. */
  readonly code: string
  readonly message: string
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** Asks as a program would. @throws Error — nothing answers */
async function ask(url: string): Promise<Answer> {
  const answer = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(timeout),
  })
  const isJson = answer.headers.get('content-type')?.includes('json') === true
  const length = Number(answer.headers.get('content-length') ?? 0)
  const body: unknown =
    isJson && length < 65_536
      ? await answer.json().catch(() => undefined)
      : await answer.body?.cancel()
  const { code, message } = (body ?? {}) as Record<string, unknown>
  return {
    status: answer.status,
    location: answer.headers.get('location') ?? '',
    code: textOf(code),
    message: textOf(message),
  }
}

/** What the gateway at the other end makes of it. */
function answerRow({ app, config }: Site, { status, code, message, location }: Answer): Row {
  const check = 'front.answer'
  const { url } = app.address
  // Nobody came with it, and it got as far as to be told so.
  if (status === 401 && code.startsWith('ERR_')) return good(check, `the gateway answers at ${url}`)
  const wanted = `the gateway answers at ${url}`
  if (Object.hasOwn(errorHints, code)) {
    const todo = errorHints[code as keyof typeof errorHints]
    return bad(check, `${status} ${code}: ${message}`, wanted, `${todo} (${see})`)
  }
  if (status === 308 && location.startsWith(url)) {
    const found =
      'a request over HTTPS is sent to HTTPS again: the gateway takes it for a plain one'
    const todo = `let the proxy send X-Forwarded-Proto: https, and list it in server.trustedProxies (now ${config.server.trustedProxies.length} entries); ${see}`
    return bad(check, found, wanted, todo)
  }
  const found = `something else answers at ${url}/auth/session: status ${status}`
  const todo =
    status >= 502 && status <= 504
      ? `let the proxy forward to server.listen; ${see}`
      : `let the proxy forward all below ${app.address.base || '/'} to the gateway, the path unchanged; ${see}`
  return bad(check, found, wanted, todo)
}

/** What arrived of a request over the public address. */
function arrivalRows({ app, config }: Site, arrived: Arrived): readonly Row[] {
  const { host, secure } = app.address
  const hostRow =
    arrived.host.toLowerCase() === host
      ? good('front.host', `Host: ${arrived.host}`)
      : bad(
          'front.host',
          `Host: ${arrived.host}`,
          `Host: ${host}`,
          `let the proxy pass Host on; ${see}`,
        )
  const { peer, trusted, scheme, said, address } = arrived
  const from = `from ${peer}, which is ${trusted ? '' : 'not '}in server.trustedProxies`
  const wantedScheme = secure ? 'https' : 'http'
  const protoTodo = trusted
    ? `let the proxy send X-Forwarded-Proto: https; ${see}`
    : `add ${peer} to server.trustedProxies, and let it send X-Forwarded-Proto: https; ${see}`
  const proto = `X-Forwarded-Proto: ${arrived.forwardedProto || 'nothing'} ${from}`
  const protoRow =
    scheme === wantedScheme
      ? good('front.proto', secure ? `${scheme}, ${from}` : scheme)
      : bad('front.proto', proto, `${wantedScheme}, from a trusted proxy`, protoTodo)
  const isNamed = arrived.forwardedFor !== '' || arrived.forwarded !== ''
  const needsName = secure && config.server.tls === undefined
  const addressRow =
    isNamed || !needsName
      ? good('front.address', `the visitor is ${address}`)
      : bad(
          'front.address',
          `the proxy names no visitor: everybody is ${address}${said === 'nothing' ? '' : ` over ${said}`}`,
          'X-Forwarded-For with the visitor’s address',
          `let the proxy add the client to X-Forwarded-For; ${see}`,
        )
  return [hostRow, protoRow, addressRow]
}

async function lookAtArrival(site: Site): Promise<readonly Row[]> {
  const { askAdmin, app } = site
  const names = ['front.host', 'front.proto', 'front.address']
  const untried = (why: string) => names.map((name) => notTried(name, why))
  if (askAdmin === undefined) {
    return untried('admin.token is not set, so the gateway tells nobody what arrives')
  }
  const arrival = randomText(24)
  const announced = await askAdmin('/arrival', { arrival })
  if (announced.status !== 200) {
    return untried(
      `the admin listener answers ${announced.status}: restart the gateway with this configuration`,
    )
  }
  await ask(`${app.address.url}/auth/healthz?arrival=${arrival}`)
  const { body } = await askAdmin('/arrival', { arrival })
  const arrived = body['arrived'] as Arrived | null | undefined
  if (arrived !== null && arrived !== undefined) return arrivalRows(site, arrived)
  return untried('the request did not arrive at the gateway whose admin listener this is')
}

/** The front proxy, seen from the public address. */
export async function checkFront(site: Site): Promise<readonly Row[]> {
  const { url } = site.app.address
  if (!(await site.isRunning())) {
    const why = 'no gateway runs with this configuration (admin.listen is silent)'
    return [notTried('front', `${why}: start it, and ask again`)]
  }
  try {
    const row = answerRow(site, await ask(`${url}/auth/session`))
    return [row, ...(await lookAtArrival(site))]
  } catch (fault) {
    const found = `nothing answers at ${url}: ${wordsOf(fault)}`
    const todo = `start the proxy, or correct server.publicUrl; ${see}`
    return [bad('front.answer', found, 'the gateway', todo)]
  }
}
