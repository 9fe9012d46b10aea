/** nginx (`auth_request`) with our file, before a real Trac. */
import { t } from '../fixtures/tap.js'
import { startFront } from '../fixtures/forward-auth.js'
import { dropsForgeryOverHttp2, prove } from './proofs.js'

await prove('nginx', { chunkedAnswer: 400, http2: false })
await t.test('no forged identity reaches Trac where HTTP/2 is switched on', async (t) =>
  dropsForgeryOverHttp2(t, await startFront(t, 'nginx', { http2: true })),
)
