/**
 * Facts 0.1, 0.16 and 0.19 of the conformance table: a Trac without the bridge does not know our headers; with it, it knows a person by exactly
 * the name that the gateway gives, beyond ASCII too, whatever Trac's own options say of names and addresses.
 */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { stage } from '../fixtures/stage.js'
import { both } from '../fixtures/tracs.js'
import type { FixtureOptions, ServerName } from '../fixtures/tracs.js'
import { ask } from '../fixtures/wire.js'

async function start(t: Test, server: ServerName, options: FixtureOptions) {
  const { gateway, bearerOf } = await stage(t, {
    provider: 'scripted',
    trac: { server, ...options },
    overlay: { server: { trustedProxies: ['127.0.0.1'] } },
  })
  return {
    /** Whom Trac names in its own page as signed in; empty text for nobody. */
    async seen(name: string, headers: readonly string[] = []): Promise<string> {
      const token = bearerOf({ sub: name, 'cognito:username': name, name: undefined })
      const answer = await ask(gateway, 'GET /trac/about', [token, ...headers])
      t.equal(answer.status, 200, answer.body.slice(0, 200))
      const page = Buffer.from(answer.body, 'latin1').toString('utf8')
      return /trac-author-user">([^<]*)</.exec(page)?.[1] ?? ''
    },
    post: (target: string, body: string, headers: readonly string[]) =>
      ask(
        gateway,
        `POST /trac${target}`,
        [bearerOf({ 'cognito:groups': ['admins'] }), `Content-Length: ${body.length}`, ...headers],
        body,
      ),
  }
}

/** Trac as it is installed: no bridge, its own log-in and its own rights. */
const stock: FixtureOptions = {
  plugins: { 'trac_gateway.py': '' },
  ini: {
    components: { 'trac.web.auth.loginmodule': 'enabled' },
    trac: { permission_policies: 'DefaultPermissionPolicy', request_filters: '' },
  },
}

for (const server of both) {
  await t.test(`${server} without the bridge believes no header of ours`, async (t) => {
    const { seen } = await start(t, server, stock)
    for (const name of ['alice', 'TRAC_ADMIN2', 'josé']) t.equal(await seen(name), '')
  })

  await t.test(`${server} with the bridge knows each person by the very name`, async (t) => {
    const { seen } = await start(t, server, {})
    for (const name of [
      'alice',
      'Alice',
      'josé',
      'JOSÉ',
      '日本',
      'Жанна',
      'a b',
      '100%',
      '%41',
      'a+b',
    ]) {
      t.equal(await seen(name), name)
    }
  })

  await t.test(`check_auth_ip and ignore_auth_case of ${server} change nobody`, async (t) => {
    const { seen } = await start(t, server, {
      ini: { trac: { check_auth_ip: 'true', ignore_auth_case: 'true' } },
    })
    for (const address of ['192.0.2.1', '198.51.100.7', '2001:db8::1']) {
      for (const name of ['Alice', 'alice', 'ALICE']) {
        t.equal(await seen(name, [`X-Forwarded-For: ${address}`]), name, address)
      }
    }
  })

  await t.test(`${server} itself refuses an attachment over its limit`, async (t) => {
    const { post } = await start(t, server, {})
    const upload = async (size: number) => {
      const field = (name: string, value: string, more = '') =>
        `--x\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
      const body =
        field('__FORM_TOKEN', 'abcdef') +
        field('action', 'new') +
        field('realm', 'ticket') +
        field('id', '1') +
        field('attachment', 'x'.repeat(size), `; filename="of-${size}.txt"`) +
        '--x--\r\n'
      return await post('/attachment/ticket/1/', body, [
        'Content-Type: multipart/form-data; boundary=x',
        'Cookie: trac_form_token=abcdef',
      ])
    }
    const taken = await upload(262_144)
    t.equal(taken.status, 303)
    t.match(taken.header('location'), '/trac/attachment/ticket/1/')
    const refused = await upload(262_145)
    t.not(refused.status, 413)
    t.match(refused.body, /262144|256\.0 KB/, 'Trac names its own limit')
  })
}
