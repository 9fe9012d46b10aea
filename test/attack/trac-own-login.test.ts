/**
 * Facts 0.13 and 0.14 of the conformance table: Trac’s own `/login` would fail and its `/logout` would leave somebody signed in. Neither ever
 * reaches Trac: signing in and out is the gateway’s, in every spelling and by every method.
 */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { ask } from '../fixtures/wire.js'

const { provider, upstream, gateway, origin, bearerOf, signIn } = await stage(t, {
  provider: 'scripted',
  upstream: true,
  overlay: { routes: [{ name: 'all', path: '/**', access: 'public' }] },
})
/** The session of somebody who has not been here before: whoever signed out is told by `sub` and second. */
const cookieOf = async (sub: string) =>
  `Cookie: ${(await signIn({ sub, username: sub })).cookieHeader(gateway.url)}`
const spellings = (path: string) => [
  ...[path, `${path}/`, `${path}?x=1`, `${path}/?referer=/wiki`],
  ...[path.replace('/l', '/%6c'), path.replace('o', '%6F'), `${path.replace('g', '%67')}/`],
]

await t.test(
  'sign-in and sign-out never reach Trac, even where a route lets all pass',
  async (t) => {
    const credentials = [[], [await cookieOf('first')], [bearerOf()]]
    const before = upstream.received.length
    for (const path of ['/login', '/logout']) {
      for (const target of spellings(path)) {
        for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND']) {
          for (const headers of credentials) {
            // From another site, so that no session ends on the way.
            const foreign = ['Origin: http://evil.example', 'Accept: text/html']
            const answer = await ask(gateway, `${method} /trac${target}`, [...headers, ...foreign])
            t.ok(answer.status < 500, `${method} ${target}: ${answer.status}`)
          }
        }
      }
    }
    t.equal(upstream.received.length, before)
    await ask(gateway, 'GET /trac/login/rpc')
    t.equal(upstream.received.length, before + 1, 'what lies below is another address')
  },
)

await t.test('Trac’s button ends the session here and leads to the provider', async (t) => {
  for (const target of ['/logout', '/logout/']) {
    const cookie = await cookieOf(target)
    const refresh = provider.counts.revoke
    const before = upstream.received.length
    const form = [cookie, `Origin: ${origin}`, 'Accept: text/html']
    const body = '__FORM_TOKEN=of-trac'
    const type = 'Content-Type: application/x-www-form-urlencoded'
    const length = `Content-Length: ${body.length}`
    const out = await ask(gateway, `POST /trac${target}`, [...form, type, length], body)
    t.equal(out.status, 303)
    t.match(out.header('location'), `${provider.origin}/logout?`)
    t.match(out.header('set-cookie'), /Max-Age=0/)
    t.equal(provider.counts.revoke, refresh + 1)
    t.equal(upstream.received.length, before, 'Trac’s own log-out is not asked for')
    t.equal((await ask(gateway, 'GET /trac/auth/session', [cookie])).status, 401)
  }
})
