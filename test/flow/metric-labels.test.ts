/**
 * A hundred thousand distinct paths, environments, users and methods make no series. Paths come over a connection, many
 * sent ahead; users and methods, of which no connection brings so many soon, begin at the policy.
 */
import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { t } from '../fixtures/tap.js'
import { createContext, nobody } from '../fixtures/request-context.js'
import type { RequestSketch } from '../fixtures/request-context.js'
import { sumOf } from '../fixtures/metrics.js'
import { stage } from '../fixtures/stage.js'
import { createAccessLog } from '../../src/app/access-log.js'
import { Policy } from '../../src/authorize/policy.js'
import { GatewayError } from '../../src/core/errors.js'
import { createLogger } from '../../src/observe/logger.js'
import { createMetrics } from '../../src/observe/metrics.js'
import { RecentTrouble } from '../../src/observe/recent-trouble.js'

const count = 100_000
/** What a connection may send ahead. */
const ahead = 90

const s = await stage(t, {
  upstream: true,
  logLevel: 'error',
  overlay: {
    permissions: { anonymous: [], authenticated: ['WIKI_VIEW'] },
    environments: { math: {}, 'course-*': {} },
  },
})

/** What would be in a series that a client made. */
const fromClients = /course-\d|Page\d|Nowhere\d|user\d|sub\d|METHOD\d/

/** Our series, by name and labels, without their values. */
const seriesOf = (text: string): ReadonlySet<string> =>
  new Set([...text.matchAll(/^(trac_gateway_.*) \S+$/gm)].map(([, series = '']) => series))
/** The first of those that are new. */
const added = (before: string, after: string): readonly string[] => {
  const known = seriesOf(before)
  return [...seriesOf(after)].filter((one) => !known.has(one)).slice(0, 5)
}

function pathOf(i: number): string {
  if (i % 3 === 0) return `course-${i}/wiki/Page${i}`
  return i % 3 === 1 ? `math/ticket/${i}` : `Nowhere${i}/at/all`
}

/** Asks for these paths, one after the other, on one connection; how many answers came. */
async function askFor(from: number, to: number): Promise<number> {
  const socket = connect(s.port, '127.0.0.1')
  socket.setEncoding('latin1')
  let next = from
  const sendSome = (): void => {
    let text = ''
    for (const end = Math.min(next + ahead, to); next < end; next++) {
      text += `GET /trac/${pathOf(next)}?q=${next} HTTP/1.1\r\nHost: localhost:${s.port}\r\n\r\n`
    }
    socket.write(text)
  }
  sendSome()
  const first = 'HTTP/1.1 '
  let answered = 0
  let rest = ''
  for await (const chunk of socket as AsyncIterable<string>) {
    const text = rest + chunk
    answered += text.split(first).length - 1
    rest = text.slice(1 - first.length)
    if (from + answered === to) break
    if (from + answered === next) sendSome()
  }
  return answered
}

await t.test('distinct paths, and environments by one pattern, add no series', async (t) => {
  await askFor(0, ahead)
  const before = await s.gateway.metrics()
  t.equal(await askFor(ahead, count), count - ahead, 'all are answered')
  const after = await s.gateway.metrics()
  t.strictSame(added(before, after), [])
  t.notOk(fromClients.test(after))
  const measured = await s.gateway.metric('trac_gateway_request_duration_seconds_count')
  t.equal(measured, count)
  const inPattern = /environment_requests_total\{environment="course-\*",status="401"\} (\d+)/
  t.equal(Number(inPattern.exec(after)?.[1]), Math.ceil(count / 3))
})

const stages = ['matchRoute', 'environment', 'csrf', 'access'] as const

type Serve = ReturnType<typeof begin>['serve']

/** The policy and the log of the gateway, with metrics of their own. */
function begin() {
  const { services } = s.gateway.gateway
  const metrics = createMetrics({ version: '1' }, false)
  const logger = createLogger('error', { write: () => undefined }, 'json')
  const trouble = new RecentTrouble(s.clock)
  const log = createAccessLog(
    ...([logger, metrics, trouble, services.config.server.publicUrl, undefined] as const),
    () => undefined,
    'json',
  )
  const policy = new Policy({
    router: services.router,
    publicOrigin: s.origin,
    base: '/trac',
    hasEnvironments: true,
    targetLimit: 4000,
    mode: 'enforce',
    unmatched: services.unmatched,
    record: log.decision,
  })
  /** One request, from the policy to the end of its answer. */
  const serve = (sketch: RequestSketch & { readonly rawTarget: string }): void => {
    const request = { method: sketch.method } as IncomingMessage
    const response = new ServerResponse(request)
    const environment = services.environmentAt(sketch.rawTarget)
    const context = createContext({ ...sketch, response, environment })
    try {
      for (const name of stages) void policy[name](context)
      log.upstreamAnswer('trac', context, 1)
      response.writeHead(200)
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      context.code = error.code
      response.writeHead(403)
    }
    log.close(context)
  }
  return { serve, read: () => metrics.registry.metrics() }
}

const { issuer } = s.gateway.gateway.services.config.identity
const kinds: readonly (readonly [what: string, (i: number) => Parameters<Serve>[0]])[] = [
  [
    'users in environments of their own',
    (i) => ({
      rawTarget: `/course-${i}/wiki/Page${i}`,
      identity: {
        ...nobody,
        via: 'session',
        principal: {
          ...nobody.principal,
          kind: 'person',
          issuer,
          user: `user${i}`,
          subject: `sub${i}`,
        },
      },
    }),
  ],
  ['methods', (i) => ({ method: `METHOD${i}`, rawTarget: '/math/wiki' })],
]
for (const [what, sketch] of kinds) {
  await t.test(`distinct ${what} add no series`, async (t) => {
    const { serve, read } = begin()
    serve(sketch(0))
    const before = await read()
    for (let i = 1; i < count; i++) serve(sketch(i))
    const after = await read()
    t.strictSame(added(before, after), [])
    t.notOk(fromClients.test(after))
    const name = 'trac_gateway_request_duration_seconds_count'
    t.equal(sumOf(after, name), count, 'each was measured')
    t.equal(sumOf(after, 'trac_gateway_decisions_total'), count, 'and decided')
  })
}
