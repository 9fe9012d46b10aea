/** An ID token and an access token of one person reach Trac's side as one user. */
import { t } from '../fixtures/tap.js'
import { signIn } from '../../src/demo/sign-in.js'
import { stage } from '../fixtures/stage.js'

const { provider, ivan, upstream, url } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: true,
})

await t.test('an ID token and an access token name the same user', async (t) => {
  const { idToken, accessToken } = await signIn(provider, ivan)
  for (const token of [idToken, accessToken, idToken, accessToken]) {
    for (const path of ['/wiki', '/api/x']) {
      const answer = await fetch(url + path, {
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
