/** ALBeast: what a load balancer says of a user, anybody’s load balancer can say. Nobody is believed by it. */
import { t } from '../fixtures/tap.js'
import { startAttacked } from '../fixtures/attacked.js'
import { createScriptedCurveKey, signScripted } from '../fixtures/scripted-keys.js'
import { ask } from '../fixtures/wire.js'

for (const trustedProxies of [[], ['127.0.0.1']]) {
  await t.test(
    `with ${trustedProxies.length} trusted proxies a balancer’s header makes nobody anybody`,
    async (t) => {
      const { gateway, upstream, provider, alice, sam, bearerOf } = await startAttacked(t, {
        server: { trustedProxies },
      })
      const key = await createScriptedCurveKey('1b2c')
      const arn = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/x/1'
      const exp = Math.floor(Date.now() / 1000) + 120
      const claims = { sub: alice.sub, 'cognito:username': alice.username, email: alice.email, exp }
      const header = { signer: arn, iss: provider.issuer, client: provider.clientId, exp }
      const data = signScripted({ ...claims, iss: provider.issuer }, { key, header })
      const said = [
        `X-Amzn-Oidc-Data: ${data}`,
        `X-Amzn-Oidc-Identity: ${alice.sub}`,
        `X-Amzn-Oidc-Accesstoken: ${await provider.mint({}, { person: alice, use: 'access' })}`,
      ]
      t.equal((await ask(gateway, 'GET /trac/private/x', said)).status, 401)
      t.equal((await ask(gateway, 'GET /trac/admin', said)).status, 401)
      t.equal(upstream.received.length, 0)
      t.equal(
        (await ask(gateway, 'GET /trac/private/x', [`Authorization: Bearer ${data}`])).status,
        401,
      )
      t.equal((await ask(gateway, 'GET /trac/wiki', said)).status, 200)
      t.equal(upstream.lastHeaders()['x-trac-user'], '', 'anonymous')
      await ask(gateway, 'GET /trac/private/x', [...said, await bearerOf(sam)])
      t.equal(upstream.lastHeaders()['x-trac-user'], 'sam', 'nor somebody another')
      for (const { rawHeaders } of upstream.received) {
        t.notOk(
          rawHeaders.some((it) => /^x-amzn-oidc/i.test(it)),
          'and it goes no further',
        )
      }
    },
  )
}
