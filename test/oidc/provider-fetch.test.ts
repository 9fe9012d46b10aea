/** The fetch for the provider: what is an answer, whatever its status has. */
import { createServer } from 'node:http'
import { t } from '../fixtures/tap.js'
import { realTimers } from '../../src/core/clock.js'
import { createProviderFetch } from '../../src/oidc/provider-fetch.js'
import { listen } from '../fixtures/listen.js'

await t.test('a status that has no body is an answer, and no provider that is down', async (t) => {
  const server = createServer(({ url }, response) => {
    response.writeHead(Number(url?.slice(1))).end()
  })
  const port = await listen(server)
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const ask = createProviderFetch(realTimers, Date.now)
  for (const status of [200, 204, 205, 302, 304, 404]) {
    const answer = await ask(`http://127.0.0.1:${port}/${status}`, {})
    t.equal(answer.status, status)
    t.equal(await answer.text(), '')
  }
})
