/** Traces reach a collector of OpenTelemetry, tell no secret, and cost no request anything. */
import type { Test } from 'tap'
import { t } from '../fixtures/tap.js'
import { startCollector } from '../fixtures/collector.js'
import type { ReceivedSpan } from '../fixtures/collector.js'
import { secretOf } from '../fixtures/config.js'
import type { Overlay } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { ask } from '../fixtures/wire.js'

const key = secretOf('k')
const base = await stage(t, { provider: 'scripted', upstream: true, gateway: false })
const { provider, upstream, clock } = base

async function open(t: Test, tracing: Overlay = {}, overlay: Overlay = {}) {
  const collector = await startCollector(t)
  const s = await stage(t, {
    ...{ provider, upstream, clock },
    env: { KEY: key },
    overlay: {
      routes: [{ name: 'lost', path: '/gone/**', upstream: 'gone', access: 'public' }],
      upstreams: { gone: { url: 'http://127.0.0.1:9' } },
      ...overlay,
      tracing: { endpoint: collector.endpoint, interval: '100ms', ...tracing },
    },
  })
  /** One request as part of a trace of this number; its spans by name, once `names` have arrived. */
  const traced = async (
    number: number,
    line: string,
    headers: readonly string[],
    ...names: readonly string[]
  ) => {
    const traceId = number.toString(16).padStart(32, '1')
    const answer = await ask(s, line, [
      ...headers,
      `traceparent: 00-${traceId}-b7ad6b7169203331-01`,
    ])
    const spans = () => collector.trace(traceId)
    await until(() => names.every((name) => name in spans()), names.join())
    return { answer, traceId, spans: spans() as Readonly<Record<string, ReceivedSpan>> }
  }
  return { ...s, collector, traced }
}

const s = await open(t, { headers: { 'x-key': { fromEnv: 'KEY' } } })

await t.test('a request is one trace with the caller’s: who, whether, and upstream', async (t) => {
  const token = s.bearerOf({ sub: 'sam' })
  const names = ['credential', 'decision', 'GET trac', 'GET trac:wiki']
  const target = 'GET /trac/wiki/Start?secret=query-value'
  const { spans, traceId } = await s.traced(1, target, [token], ...names)
  const [credential, decision, sent, whole] = names.map((name) => spans[name]!)
  t.strictSame(Object.keys(spans).toSorted(), names.toSorted())
  t.match(whole, {
    kind: 'server',
    parentSpanId: 'b7ad6b7169203331',
    failed: false,
    attributes: {
      'http.request.method': 'GET',
      'url.path': '/trac/wiki/Start',
      'http.response.status_code': 200,
      'trac_gateway.route': 'trac:wiki',
      'trac_gateway.via': 'bearer',
      'client.address': '127.0.0.1',
    },
    resource: { 'service.name': 'trac-gateway' },
  })
  for (const part of [credential, decision, sent]) {
    t.equal(part!.parentSpanId, whole!.spanId)
    t.ok(part!.start >= whole!.start - 1 && part!.end <= whole!.end + 1, part!.name)
  }
  t.match(credential, { kind: 'internal', attributes: { 'trac_gateway.cache': 'miss' } })
  t.match(decision!.attributes, { 'trac_gateway.result': 'allow', 'trac_gateway.mode': 'enforce' })
  t.match(sent, { kind: 'client', attributes: { 'trac_gateway.upstream': 'trac' } })
  t.equal(upstream.lastHeaders()['traceparent'], `00-${traceId}-${sent!.spanId}-01`)
  const line = s.gateway.lines.findLast((one) => one['msg'] === 'request')
  t.equal(line?.['request_id'], whole!.attributes['trac_gateway.request_id'], 'the log has its id')
  t.match(line?.['traceparent'], traceId)
  t.match(Math.abs(whole!.start - clock()) < 10_000, true, 'its time is the clock’s')
})

await t.test('what is refused, or fails, is told by its code', async (t) => {
  const names = ['decision', 'GET trac:accounts']
  const refused = await s.traced(2, 'GET /trac/register', [], ...names)
  t.match(refused.spans['decision']!.attributes, { 'trac_gateway.result': 'ERR_ROUTE_DENIED' })
  t.match(refused.spans['GET trac:accounts'], {
    failed: false,
    attributes: { 'http.response.status_code': 403, 'error.type': 'ERR_ROUTE_DENIED' },
  })
  const bad = 'Authorization: Bearer not-a-token'
  const unknown = await s.traced(3, 'GET /trac/wiki/Start', [bad], 'credential', 'GET trac:wiki')
  t.equal(unknown.answer.status, 401)
  t.match(unknown.spans['credential']!.attributes['error.type'], /^ERR_TOKEN_/)
  const gone = await s.traced(4, 'GET /trac/gone/x', [], 'GET gone')
  t.equal(gone.answer.status, 502)
  const ofUpstream = Object.values(gone.spans).find((span) => span.kind === 'client')
  t.match(ofUpstream, { failed: true, attributes: { 'error.type': 'ERR_UPSTREAM_UNREACHABLE' } })
})

await t.test('what the provider is asked is a part of the request that it is for', async (t) => {
  await s.signIn({ sub: 'sam' })
  const spans = () => s.collector.spans
  const callback = () => spans().find((span) => span.name === 'GET auth:callback')
  await until(() => callback() !== undefined, 'the callback')
  const asked = () => spans().filter((span) => span.traceId === callback()!.traceId)
  await until(
    () => asked().some((span) => span.name === 'POST /oauth2/token'),
    'the token endpoint',
  )
  const ofToken = asked().find((span) => span.name === 'POST /oauth2/token')!
  t.equal(ofToken.parentSpanId, callback()!.spanId)
  t.equal(ofToken.kind, 'client')
  t.match(String(ofToken.attributes['url.full']), /\/token$/)
  const errands = spans().filter(
    (span) => span.parentSpanId === undefined && span.kind === 'client',
  )
  t.ok(errands.length > 0, 'keys are fetched for nobody')
})

await t.test('no span holds a token, a cookie, a code, a query or a header', async (t) => {
  const all = s.collector.requests.map(({ text }) => text).join('\n')
  t.match(all, 'GET auth:callback')
  t.notMatch(all, /eyJ|query-value|Bearer|code=|state=|tg-|\?/)
  t.notMatch(all, key)
  t.equal(s.collector.state.fault, '', 'and it is OTLP')
  t.match(s.collector.requests[0]?.headers, { 'x-key': key, 'content-type': 'application/json' })
})

await t.test('the sampled flag of the caller decides, and else the ratio', async (t) => {
  const never = await open(t, { ratio: 0 })
  const { spans } = await never.traced(6, 'GET /trac/wiki/Start', [], 'GET trac:wiki')
  t.ok(spans['GET trac:wiki'], 'the caller records it')
  const seen = never.collector.spans.length
  const unsampled = `00-${'2'.repeat(32)}-b7ad6b7169203331-00`
  await ask(never, 'GET /trac/wiki/Start', [`traceparent: ${unsampled}`])
  t.equal(upstream.lastHeaders()['traceparent'], unsampled, 'it goes on as it came')
  await ask(never, 'GET /trac/wiki/Start')
  t.match(upstream.lastHeaders()['traceparent'], /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)

  const deaf = await open(t, { ratio: 0, followParent: false })
  const sampled = `00-${'3'.repeat(32)}-b7ad6b7169203331-01`
  await ask(deaf, 'GET /trac/wiki/Start', [`traceparent: ${sampled}`])
  t.equal(upstream.lastHeaders()['traceparent'], sampled)
  await deaf.gateway.close()
  await never.gateway.close()
  t.equal(deaf.collector.spans.length, 0)
  t.equal(never.collector.spans.length, seen)
})

await t.test('a collector that is down, slow or full holds nobody up', async (t) => {
  const { collector, gateway, port } = await open(t, { queue: 20, timeout: '200ms' })
  const sent = (result: string) => gateway.metric(`trac_gateway_spans_total{result="${result}"}`)
  collector.state.status = 0
  const started = performance.now()
  for (let i = 0; i < 20; i++) t.equal((await ask({ port }, 'GET /trac/wiki/Start')).status, 200)
  t.ok(performance.now() - started < 5000)
  await until(async () => (await sent('dropped')) >= 20, 'they are dropped')
  const faults = () =>
    gateway.lines.filter((line) => line['msg'] === 'spans could not be sent to tracing.endpoint')
  await until(() => faults().length > 0, 'it is told')
  t.equal(await sent('sent'), 0)
  collector.state.status = 200
  await until(() => collector.spans.length >= 20, 'what waited is sent')
  t.equal(faults().length, 1, 'once')
  collector.state.status = 400
  await ask({ port }, 'GET /trac/wiki/Start')
  await until(async () => (await sent('failed')) > 0, 'what is refused is not sent again')
})

await t.test(
  'what waits is sent when the process stops, and no longer than it may take',
  async (t) => {
    const one = await open(t, { interval: '1h' })
    await ask(one, 'GET /trac/wiki/Start')
    t.equal(one.collector.spans.length, 0)
    await one.gateway.close()
    t.ok(one.collector.spans.some((span) => span.name === 'GET trac:wiki'))

    const two = await open(
      t,
      { interval: '1h' },
      { server: { timeouts: { drain: '0s', shutdown: '500ms' } } },
    )
    two.collector.state.status = 0
    await ask(two, 'GET /trac/wiki/Start')
    const started = performance.now()
    await two.gateway.close()
    t.ok(performance.now() - started < 3000)
  },
)

await t.test('a forward-auth request is one trace with its original', async (t) => {
  const proxied = await open(
    t,
    {},
    { server: { forwardAuth: 'traefik', trustedProxies: ['127.0.0.0/8'] } },
  )
  const headers = [
    'X-Forwarded-Method: GET',
    'X-Forwarded-Uri: /trac/wiki/Start',
    `X-Forwarded-Host: localhost:${proxied.port}`,
    'X-Forwarded-Proto: http',
  ]
  const names = ['credential', 'decision', 'GET auth:verify']
  const { spans } = await proxied.traced(7, 'GET /trac/auth/verify', headers, ...names)
  t.strictSame(Object.keys(spans).toSorted(), names.toSorted())
  t.match(spans['decision']!.attributes, { 'trac_gateway.route': 'trac:wiki' })
})

await t.test('a scrape that asks for OpenMetrics finds the trace of a request', async (t) => {
  const scrape = async (accept: string) => {
    const answer = await fetch(`${s.gateway.adminUrl}/metrics`, { headers: { accept } })
    return { type: answer.headers.get('content-type') ?? '', text: await answer.text() }
  }
  const { traceId } = await s.traced(8, 'GET /trac/wiki/Start', [], 'GET trac:wiki')
  const plain = await scrape('text/plain')
  t.match(plain.type, /^text\/plain; version=0\.0\.4/)
  t.notMatch(plain.text, /trace_id|EOF/)
  const open = await scrape('application/openmetrics-text;version=1.0.0,text/plain;q=0.5')
  t.match(open.type, /^application\/openmetrics-text; version=1\.0\.0/)
  t.match(open.text, /[^\n]\n# EOF\n$/)
  t.notMatch(open.text, '\n\n')
  const form =
    /^(trac_gateway_request_duration_seconds_bucket)\{le="([^"]+)",route="trac:wiki",method="GET",status="\d+"\} \d+ # \{trace_id="([0-9a-f]{32})"\} (\S+) \d+\.\d{3}$/gm
  const found = [...open.text.matchAll(form)]
  t.ok(found.some(([, , , id]) => id === traceId))
  for (const [, , le, , value] of found)
    t.ok(Number(value) <= Number(le!.replace('+Inf', 'Infinity')))
  const values = (text: string) =>
    text
      .split('\n')
      .filter((line) => line.startsWith('trac_gateway') && !/jwks_age|sessions/.test(line))
      .map((line) => line.replace(/ # .*/, ''))
  t.strictSame(values(open.text), values(plain.text), 'besides, they tell the same')
  for (const [, family] of open.text.matchAll(/^# TYPE (\S+) counter$/gm)) {
    t.notMatch(family, /_total$/)
    t.notMatch(open.text, new RegExp(`^${family}[ {]`, 'm'), 'each sample has it')
  }
})

await t.test('another collector needs a restart', async (t) => {
  const reload = s.gateway.reload({ tracing: { endpoint: 'http://127.0.0.1:9/v1/traces' } })
  await t.rejects(reload, { message: 'tracing: a change there needs a restart' })
})
