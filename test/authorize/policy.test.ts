/** The policy's stages by themselves: what they record, and that a missing fact is never a yes. */
import { t } from '../fixtures/tap.js'
import { Policy, isOptionsForTrac } from '../../src/authorize/policy.js'
import { compileRoutes, unmatchedRoute } from '../../src/authorize/compile-routes.js'
import { createRouter } from '../../src/authorize/router.js'
import type { Identity } from '../../src/core/identity.js'
import type { RequestHeaders } from '../../src/request/headers.js'
import { createContext, nobody } from '../fixtures/request-context.js'

function start(mode: 'enforce' | 'shadow') {
  const defaults = { mode, bodyLimit: 10 }
  const recorded: string[] = []
  const policy = new Policy({
    hasEnvironments: false,
    router: createRouter(compileRoutes([], true, defaults)),
    publicOrigin: 'https://trac.example.edu',
    base: '',
    targetLimit: 4000,
    mode,
    unmatched: unmatchedRoute(defaults),
    record: ({ route, result, mode: how }) => recorded.push(`${route} ${result} ${how}`),
  })
  const contextOf = (method: string, rawTarget: string, headers: Partial<RequestHeaders> = {}) =>
    createContext({ method, rawTarget, headers })
  return { policy, recorded, contextOf }
}

await t.test('what is let through is recorded once, with its row', async (t) => {
  const { policy, recorded, contextOf } = start('enforce')
  const context = contextOf('GET', '/wiki/X')
  context.identity = nobody
  await policy.matchRoute(context)
  await policy.csrf(context)
  await policy.access(context)
  await policy.bodyLimits(context)
  t.strictSame(recorded, ['trac:wiki allow enforce'])
  t.equal(context.routeName, 'trac:wiki')
})

await t.test('each refusal is recorded with its code', async (t) => {
  const { policy, recorded, contextOf } = start('enforce')
  t.throws(() => policy.matchRoute(contextOf('GET', '/auth/nowhere')), {
    code: 'ERR_ROUTE_UNKNOWN',
  })
  t.throws(() => policy.matchRoute(contextOf('PUT', '/wiki')), { code: 'ERR_METHOD_NOT_ALLOWED' })
  const admin = contextOf('GET', '/admin')
  await policy.matchRoute(admin)
  t.throws(() => policy.access(admin), { code: 'ERR_LOGIN_REQUIRED' })
  const writing = contextOf('GET', '/ticket/1?edit_comment=1')
  await policy.matchRoute(writing)
  t.throws(() => policy.csrf(writing), { code: 'ERR_UNSAFE_GET' })
  t.strictSame(recorded, [
    'none ERR_ROUTE_UNKNOWN enforce',
    'none ERR_METHOD_NOT_ALLOWED enforce',
    'trac:admin ERR_LOGIN_REQUIRED enforce',
    'trac:ticket ERR_UNSAFE_GET enforce',
  ])
})

await t.test(
  'with the cookie, a GET to Trac that brings content must be from our own pages',
  async (t) => {
    const { policy, contextOf } = start('enforce')
    const session: Identity = { ...nobody, via: 'session' }
    const judge = async (identity: Identity, headers: Partial<RequestHeaders>) => {
      const context = contextOf('GET', '/wiki/X', { contentType: '', ...headers })
      context.identity = identity
      await policy.matchRoute(context)
      await policy.csrf(context)
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

await t.test('Without a route nothing is allowed, and no body is taken', async (t) => {
  const { policy, contextOf } = start('enforce')
  t.throws(() => policy.access(contextOf('GET', '/wiki')), { code: 'ERR_ROUTE_DENIED' })
  t.throws(() => policy.bodyLimits(contextOf('POST', '/wiki', { contentLength: 1 })), {
    code: 'ERR_BODY_TOO_LARGE',
  })
})

await t.test('without an identity it is judged as anonymous', async (t) => {
  const { policy, contextOf } = start('enforce')
  const context = contextOf('GET', '/newticket')
  await policy.matchRoute(context)
  t.throws(() => policy.access(context), { code: 'ERR_LOGIN_REQUIRED' })
})

await t.test('in shadow mode all of it is recorded and nothing thrown', async (t) => {
  const { policy, recorded, contextOf } = start('shadow')
  for (const [method, raw] of [
    ['GET', '/auth/nowhere'],
    ['GET', '/admin'],
    ['GET', '/ticket/1?edit_comment=1'],
  ] as const) {
    const context = contextOf(method, raw)
    await policy.matchRoute(context)
    await policy.csrf(context)
    await policy.access(context)
    t.ok(context.shadowed, raw)
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

await t.test('OPTIONS never gets to Trac, whatever it asks for', async (t) => {
  const { policy, contextOf } = start('enforce')
  const asked = contextOf('OPTIONS', '/wiki', { origin: 'https://x', preflightMethod: 'POST' })
  await policy.matchRoute(asked)
  t.equal(isOptionsForTrac(asked), true)
  t.equal(asked.preflight, true)
  const read = contextOf('GET', '/wiki')
  await policy.matchRoute(read)
  t.equal(isOptionsForTrac(read), false)
})

await t.test('a length over the limit is 413, the limit itself is not', async (t) => {
  const { policy, contextOf } = start('enforce')
  for (const [contentLength, refused] of [
    [10, false],
    [11, true],
  ] as const) {
    const context = contextOf('POST', '/wiki/X', { contentLength })
    await policy.matchRoute(context)
    if (refused) t.throws(() => policy.bodyLimits(context), { code: 'ERR_BODY_TOO_LARGE' })
    else t.doesNotThrow(() => policy.bodyLimits(context))
  }
})
