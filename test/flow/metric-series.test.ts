/** What clients send makes no series, and what is counted is there before it happens. */
import { METHODS } from 'node:http'
import { t } from '../fixtures/tap.js'
import { scaled } from '../fixtures/scale.js'
import { stage } from '../fixtures/stage.js'
import { Wire, ask, sendBytes } from '../fixtures/wire.js'
import { environmentStatuses, metricTable } from '../../src/observe/metrics.js'
import type { MetricRow } from '../../src/observe/metrics.js'

const s = await stage(t, {
  provider: 'scripted',
  upstream: true,
  api: true,
  logLevel: 'error',
  overlay: {
    routes: [{ name: 'api', path: '/api/**', upstream: 'api' }],
  },
})

/** Every series, by name and labels, without its value. */
const seriesOf = (text: string): ReadonlySet<string> =>
  new Set(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.slice(0, line.lastIndexOf(' '))),
  )
const series = async () => seriesOf(await s.gateway.metrics())
const added = (before: ReadonlySet<string>, after: ReadonlySet<string>) =>
  [...after].filter((one) => !before.has(one))

await t.test('every counter has its series from the start, at 0', async (t) => {
  const { gateway } = await stage(t, {
    upstream: true,
    overlay: {
      environments: { math: {}, 'course-*': {} },
      routes: [{ name: 'api', path: '/api/**' }],
    },
  })
  const text = await gateway.metrics()
  const begun = [...seriesOf(text)]
  for (const { name, type, fromStart } of Object.values<MetricRow>(metricTable)) {
    if (type !== 'counter') continue
    t.match(text, new RegExp(`^${name}(?:\\{[^}]*\\})? 0$`, 'm'), `${name} has one that is 0`)
    const own = begun.filter((one) => one.split('{')[0] === name)
    if (fromStart.length > 0) t.equal(own.length, fromStart.length, name)
  }
  t.strictSame(
    begun.filter((one) => one.startsWith('trac_gateway_environment_requests_total')),
    ['math', 'course-*'].flatMap((environment) =>
      environmentStatuses.map(
        (status) =>
          `trac_gateway_environment_requests_total{environment="${environment}",status="${status}"}`,
      ),
    ),
  )
  for (const one of [
    'trac_gateway_logins_total{result="ERR_LOGIN_DENIED"} 0',
    'trac_gateway_token_verifications_total{result="ERR_TOKEN_EXPIRED"} 0',
    'trac_gateway_refreshes_total{for="session",result="refused"} 0',
    'trac_gateway_upstream_errors_total{upstream="trac",code="ERR_UPSTREAM_TIMEOUT"} 0',
    'trac_gateway_decisions_total{route="api",result="ERR_LOGIN_REQUIRED",mode="enforce"} 0',
    'trac_gateway_decisions_total{route="trac:wiki",result="allow",mode="enforce"} 0',
    'trac_gateway_decisions_total{route="none",result="ERR_ROUTE_UNKNOWN",mode="enforce"} 0',
  ]) {
    t.ok(text.includes(`${one}\n`), one)
  }
})

await t.test('what comes of a request to an environment had its series', async (t) => {
  const { gateway } = await stage(t, {
    overlay: {
      permissions: { anonymous: ['WIKI_VIEW'] },
      environments: { 'course-*': {} },
    },
  })
  const read = async () => seriesOf(await gateway.metrics())
  const before = await read()
  const statuses: number[] = []
  for (const line of ['GET wiki', 'PUT wiki', 'GET register', 'GET ticket/1', 'GET nowhere']) {
    const [method = '', path = ''] = line.split(' ')
    const { status } = await ask(gateway, `${method} /trac/course-1/${path}`, ['Content-Length: 0'])
    statuses.push(status)
  }
  t.strictSame(statuses, [502, 405, 403, 401, 404])
  const counters = added(before, await read()).filter((one) => !one.includes('_seconds_'))
  t.strictSame(counters, [])
})

await t.test('what goes wrong is counted under a series that was there', async (t) => {
  const before = await series()
  const expired = s.bearerOf({ exp: 1 })
  await s.signIn()
  await ask(s, 'GET /trac/api/x')
  await ask(s, 'GET /trac/nowhere/at/all')
  await ask(s, 'GET /trac/api/x', [expired])
  await ask(s, 'GET /trac/api/x', [s.bearerOf({ iss: 'https://elsewhere.example' })])
  await ask(s, 'GET /trac/api/x', ['Authorization: Bearer a.b.c'])
  await ask(s, 'GET /trac/api/x', ['Authorization: Basic YTpi'])
  await ask(s, 'GET /trac/auth/callback?state=1&code=2')
  await ask(s, 'GET /trac/auth/callback')
  await ask(s, 'POST /trac/auth/refresh', ['Content-Length: 0'])
  const json = ['Content-Type: application/json', 'Content-Length: 21']
  await ask(s, 'POST /trac/auth/refresh', json, '{"refresh_token":"r"}')
  await ask(s, 'POST /trac/auth/logout', [`Origin: ${s.origin}`, 'Content-Length: 0'])
  const counters = added(before, await series()).filter((one) => !one.includes('_seconds_'))
  t.strictSame(counters, [], 'only histograms have new ones')
  const text = await s.gateway.metrics()
  t.match(text, /logins_total\{result="ok"\} 1\n/)
  t.match(text, /token_verifications_total\{result="ERR_TOKEN_EXPIRED"\} 1\n/)
})

await t.test('distinct paths, users, tokens and methods add no series', async (t) => {
  const count = scaled(1500, 100_000)
  const every = 5
  const lanes = 4
  const request = (i: number): string => {
    const path = `/trac/api/p${i}?q=${i}`
    const line = i % 3 === 0 ? `GET /trac/wiki/Page${i}` : `GET ${path}`
    const who =
      i % every === 0
        ? `${s.bearerOf({ sub: `sub-${i}`, preferred_username: `user${i}` })}\r\n`
        : ''
    return `${line} HTTP/1.1\r\nHost: localhost:${s.port}\r\nUser-Agent: agent${i}\r\nX-Request-Id: id${i}\r\n${who}\r\n`
  }
  const run = async (from: number, to: number): Promise<void> => {
    const wire = new Wire(s.port)
    for (let i = from; i < to; i++) {
      wire.send(request(i))
      if ((await wire.answer()) === undefined) t.fail(`request ${i} had no answer`)
    }
    wire.destroy()
  }
  /** Methods that Node knows, and those that nobody does. */
  const methods = [
    ...METHODS.filter((name) => name !== 'CONNECT'),
    ...Array.from({ length: scaled(40, 2000) }, (_, i) => `METHOD${i}`),
  ]
  const known = methods.slice(0, METHODS.length - 1)
  const runMethods = async (names: readonly string[]): Promise<void> => {
    for (const name of names) {
      const head = `${name} /trac/api/x HTTP/1.1\r\nHost: localhost:${s.port}\r\nConnection: close\r\n\r\n`
      await sendBytes(s.port, head, [name])
    }
  }

  await run(0, 20)
  await runMethods([...known, 'METHOD'])
  const before = await series()
  const total = await s.gateway.metric('trac_gateway_request_duration_seconds_count')
  const share = Math.ceil((count - 20) / lanes)
  await Promise.all(
    Array.from({ length: lanes }, (_, i) =>
      run(20 + i * share, Math.min(count, 20 + (i + 1) * share)),
    ),
  )
  await runMethods(methods)
  const after = await series()
  // A limit may be met among so many; its status and code are of closed lists.
  const limited = /status="429"|result="ERR_RATE_LIMITED"/
  const ours = added(before, after).filter((one) => one.startsWith('trac_gateway_'))
  t.strictSame(
    ours.filter((one) => !limited.test(one)),
    [],
  )
  const seen = (await s.gateway.metric('trac_gateway_request_duration_seconds_count')) - total
  t.ok(seen >= count - 20 + known.length, `${seen} requests were measured`)
  t.notOk([...after].some((one) => /user\d|Page\d|agent\d|METHOD\d/.test(one)))
})

await t.test('the gauges say what /readyz says', async (t) => {
  const text = await s.gateway.metrics()
  t.match(text, /^trac_gateway_ready 1$/m)
  t.match(text, /^trac_gateway_degraded\{cause="configuration"\} 0$/m)
  await t.rejects(s.gateway.reload({ server: { publicUrl: 'http://localhost:1/other' } }))
  s.gateway.gateway.refuseReload(new Error('no good'))
  const refused = await s.gateway.metrics()
  t.match(refused, /^trac_gateway_degraded\{cause="configuration"\} 1$/m)
  t.match(refused, /^trac_gateway_ready 1$/m, 'trouble after the start takes nobody away')
  s.gateway.gateway.readiness.drain()
  const stopping = await s.gateway.metrics()
  t.match(stopping, /^trac_gateway_ready 0$/m)
  t.match(stopping, /^trac_gateway_degraded\{cause="stopping"\} 1$/m)
})

await t.test('the age of keys that were never fetched is endless', async (t) => {
  const { gateway } = await stage(t, { upstream: true })
  t.match(await gateway.metrics(), /^trac_gateway_jwks_age_seconds \+Inf$/m)
  t.match(await gateway.metrics(), /^trac_gateway_ready 0$/m)
})
