/** An ID token and an access token of one person reach Trac's side as one user. */
import t from 'tap'
import { startProvider } from '../../src/demo/provider.js'
import { signIn } from '../../src/demo/sign-in.js'
import { startTestGateway, startUpstream } from '../fixtures/gateway.js'

const provider = await startProvider()
const upstream = await startUpstream()
const gateway = await startTestGateway({
  provider,
  tracUrl: upstream.url,
  apiUrl: upstream.url,
  overlay: { identity: { username: { emailLocalPart: 'example.edu' } } },
})
t.teardown(async () => {
  await gateway.close()
  await upstream.close()
  await provider.stop()
})

await t.test('an ID token and an access token name the same user', async (t) => {
  const person = provider.people[1]!
  const { idToken, accessToken } = await signIn(provider, person)
  for (const token of [idToken, accessToken, idToken, accessToken]) {
    for (const path of ['/wiki', '/api/x']) {
      const answer = await fetch(gateway.url + path, {
        headers: { authorization: `Bearer ${token}` },
      })
      t.equal(answer.status, 200)
      const headers = upstream.lastHeaders()
      t.equal(headers['x-trac-user'], 'ivan')
      t.match(headers['x-trac-perms'], /WIKI_MODIFY/)
      t.equal(headers['authorization'], undefined)
    }
  }
  t.equal(provider.counts.userInfo, 1, 'the provider was asked once for the access token')
})
