/** Traefik (ForwardAuth) with our files, before a real Trac. */
import t from 'tap'
import { startFront } from '../fixtures/forward-auth.js'
import * as proofs from './proofs.js'

t.setTimeout(240_000)
const front = await startFront(t, 'traefik')

await t.test('a page leads to sign-in and back, and Trac names the person', (t) =>
  proofs.signsIn(t, front),
)
await t.test('a fetch and a bad token are 401, a Bearer client is served', (t) =>
  proofs.tellsClients(t, front),
)
await t.test('tickets are made, each write signed for once', (t) => proofs.writes(t, front))
await t.test('a body comes with its length, and none that is too large', (t) =>
  proofs.neverChunks(t, front, 400),
)
await t.test('a student is told what the admin pages need', (t) => proofs.forbids(t, front))
await t.test('no forged identity, cookie or credential reaches Trac', (t) =>
  proofs.dropsForgery(t, front),
)
await t.test('nor over HTTP/2', (t) => proofs.dropsForgeryOverHttp2(t, front))
await t.test('a target is refused, or judged and passed on as it was sent', (t) =>
  proofs.keepsTargets(t, front),
)
await t.test('a form of another site is refused', (t) => proofs.refusesOtherSites(t, front))
await t.test('/auth/verify tells nobody outside who they are', (t) => proofs.hidesVerify(t, front))
await t.test('another host name is not served', (t) => proofs.knowsItsHost(t, front))
await t.test('/auth/verify answers trusted proxies, in this dialect', (t) =>
  proofs.answersOneDialect(t, front),
)
await t.test('a WebSocket handshake does not reach Trac', (t) => proofs.passesNoHandshake(t, front))
await t.test('a renewed session reaches the browser, in chunks too', (t) => proofs.renews(t, front))
await t.test('signing out ends the session and its copies', (t) => proofs.signsOut(t, front))
await t.test('without the gateway nothing passes', (t) => proofs.failsClosed(t, front))
