/** The policy's steps by themselves: what they record, and that a missing fact is never a yes. */
import t from 'tap'
import { createPolicy } from '../../src/authorize/policy.js'
import { compileRoutes, unmatchedRoute } from '../../src/authorize/compile-routes.js'
import { createRouter } from '../../src/authorize/router.js'
import { RequestContext } from '../../src/request/context.js'
import type { Identity } from '../../src/core/identity.js'
import { parseTarget } from '../../src/request/target.js'

const nobody: Identity = {
  principal: {
    kind: 'anonymous',
    user: '',
    email: undefined,
    name: undefined,
    issuer: '',
    subject: '',
    clientId: '',
    groups: new Set(),
    scopes: new Set(),
    permissions: new Set(['WIKI_VIEW']),
    grants: [],
    identityHeaders: { user: '', perms: '', email: '', name: '' },
  },
  via: undefined,
  expiresAt: 0,
  accessToken: undefined,
}

function start(mode: 'enforce' | 'shadow') {
  const defaults = { mode, bodyLimit: 10 }
  const recorded: string[] = []
  let preflights = 0
  const policy = createPolicy({
    router: createRouter(compileRoutes([], true, defaults)),
    publicOrigin: 'https://trac.example.edu',
    anonymous: nobody,
    mode,
    unmatched: unmatchedRoute(defaults),
    answerPreflight: () => preflights++,
    record: ({ route, result, mode: how }) => recorded.push(`${route} ${result} ${how}`),
  })
  const exchangeOf = (
    method: string,
    raw: string,
    headers: Readonly<Record<string, unknown>> = {},
  ) => {
    const target = parseTarget(raw, 4000)
    const exchange = new RequestContext(
      { method } as RequestContext['request'],
      {} as RequestContext['response'],
      0,
      raw,
      target,
    )
    exchange.path = exchange.target?.path ?? ''
    const none = { origin: '', referer: '', fetchSite: '', preflightMethod: '', contentLength: -1 }
    exchange.headers = { ...none, ...headers } as unknown as NonNullable<RequestContext['headers']>
    return exchange
  }
  return { policy, recorded, exchangeOf, preflights: () => preflights }
}

void t.test('what is let through is recorded once, with its row', async (t) => {
  const { policy, recorded, exchangeOf } = start('enforce')
  const exchange = exchangeOf('GET', '/wiki/X')
  exchange.identity = nobody
  await policy.matchRoute(exchange)
  await policy.csrf(exchange)
  await policy.access(exchange)
  await policy.bodyLimits(exchange)
  t.strictSame(recorded, ['trac:wiki allow enforce'])
  t.equal(exchange.routeName, 'trac:wiki')
})

void t.test('each refusal is recorded with its code', async (t) => {
  const { policy, recorded, exchangeOf } = start('enforce')
  t.throws(() => policy.matchRoute(exchangeOf('GET', '/nowhere')), { code: 'ERR_ROUTE_UNKNOWN' })
  t.throws(() => policy.matchRoute(exchangeOf('PUT', '/wiki')), { code: 'ERR_METHOD_NOT_ALLOWED' })
  const admin = exchangeOf('GET', '/admin')
  await policy.matchRoute(admin)
  t.throws(() => policy.access(admin), { code: 'ERR_LOGIN_REQUIRED' })
  const writing = exchangeOf('GET', '/ticket/1?edit_comment=1')
  await policy.matchRoute(writing)
  t.throws(() => policy.csrf(writing), { code: 'ERR_UNSAFE_GET' })
  t.strictSame(recorded, [
    'none ERR_ROUTE_UNKNOWN enforce',
    'none ERR_METHOD_NOT_ALLOWED enforce',
    'trac:admin ERR_LOGIN_REQUIRED enforce',
    'trac:ticket ERR_UNSAFE_GET enforce',
  ])
})

void t.test(
  'with the cookie, a GET to Trac that brings content must be from our own pages',
  async (t) => {
    const { policy, exchangeOf } = start('enforce')
    const session: Identity = { ...nobody, via: 'session' }
    const judge = async (identity: Identity, headers: Readonly<Record<string, unknown>>) => {
      const exchange = exchangeOf('GET', '/wiki/X', { contentType: '', ...headers })
      exchange.identity = identity
      await policy.matchRoute(exchange)
      await policy.csrf(exchange)
    }
    const json = { contentType: 'application/json' }
    await t.rejects(judge(session, json), { code: 'ERR_CROSS_SITE' })
    await t.rejects(judge(session, { ...json, fetchSite: 'cross-site' }), {
      code: 'ERR_CROSS_SITE',
    })
    await judge(session, { ...json, fetchSite: 'same-origin' })
    await judge(session, { fetchSite: 'cross-site' })
    await judge({ ...nobody, via: 'bearer' }, { ...json, fetchSite: 'cross-site' })
  },
)

void t.test('without a route, or without headers, nothing is allowed', async (t) => {
  const { policy, exchangeOf } = start('enforce')
  t.throws(() => policy.access(exchangeOf('GET', '/wiki')), { code: 'ERR_ROUTE_UNKNOWN' })
  t.throws(() => policy.bodyLimits(exchangeOf('GET', '/wiki')), { code: 'ERR_INTERNAL' })
})

void t.test('without an identity it is judged as anonymous', async (t) => {
  const { policy, exchangeOf } = start('enforce')
  const exchange = exchangeOf('GET', '/newticket')
  await policy.matchRoute(exchange)
  t.throws(() => policy.access(exchange), { code: 'ERR_LOGIN_REQUIRED' })
})

void t.test('in shadow mode all of it is recorded and nothing thrown', async (t) => {
  const { policy, recorded, exchangeOf } = start('shadow')
  for (const [method, raw] of [
    ['GET', '/nowhere'],
    ['GET', '/admin'],
    ['GET', '/ticket/1?edit_comment=1'],
  ] as const) {
    const exchange = exchangeOf(method, raw)
    await policy.matchRoute(exchange)
    await policy.csrf(exchange)
    await policy.access(exchange)
    t.ok(exchange.shadowed, raw)
  }
  t.strictSame(
    recorded.filter((line) => !line.endsWith('shadow')),
    [],
  )
  t.notOk(
    recorded.some((line) => line.includes(' allow ')),
    'what was let pass is not counted as allowed',
  )
})

void t.test('OPTIONS to Trac is answered here', async (t) => {
  const { policy, exchangeOf, preflights } = start('enforce')
  const asked = { origin: 'https://x', preflightMethod: 'POST' }
  t.equal(await policy.matchRoute(exchangeOf('OPTIONS', '/wiki', asked)), 'answered')
  t.equal(preflights(), 1)
})

void t.test('a length over the limit is 413, the limit itself is not', async (t) => {
  const { policy, exchangeOf } = start('enforce')
  for (const [contentLength, refused] of [
    [10, false],
    [11, true],
  ] as const) {
    const exchange = exchangeOf('POST', '/wiki/X', { contentLength })
    await policy.matchRoute(exchange)
    if (refused) t.throws(() => policy.bodyLimits(exchange), { code: 'ERR_BODY_TOO_LARGE' })
    else t.doesNotThrow(() => policy.bodyLimits(exchange))
  }
})
