/** Which changes of a configuration need a new process. */
import { t } from '../fixtures/tap.js'
import { fixedChanges, isSameConfig } from '../../src/config/fixed.js'
import type { Config } from '../../src/config/schema.js'
import { createCertificate } from '../fixtures/certificate.js'
import { loadText } from '../fixtures/config.js'

const first = createCertificate()
const renewed = createCertificate()

interface Changes {
  readonly server?: string
  readonly limits?: string
  readonly admin?: string
  readonly identity?: string
  readonly session?: string
  readonly more?: string
  readonly pair?: { readonly certificate: string; readonly key: string }
}

/** A configuration with its own TLS and a Redis; what is given takes the place of what stands there. */
function load({ server, limits, admin, identity, session, more, pair = first }: Changes): Config {
  const text = `
server:
  ${server ?? 'publicUrl: https://trac.example.edu'}
  tls: { certificate: { fromFile: c.pem }, key: { fromFile: k.pem } }
  limits: { ${limits ?? 'body: 10MiB'} }
admin: { ${admin ?? 'listen: 127.0.0.1:9464'} }
identity: { issuer: https://idp.example.edu, ${identity ?? 'clientId: trac'} }
session: { secrets: [{ fromEnv: SESSION }], redis: { url: { fromEnv: REDIS } }, ${session ?? ''} }
upstreams: { trac: { url: http://127.0.0.1:8001 } }
permissions: { groups: {} }
${more ?? ''}
`
  const env = { REDIS: 'rediss://redis.example.edu', TOKEN: 'tR4n-d0m-0f-16-b' }
  return loadText(text, { env, files: { 'c.pem': pair.certificate, 'k.pem': pair.key } }).config
}

await t.test('what is open already, or named after a key, needs a restart', async (t) => {
  const changes: readonly (readonly [Changes, readonly string[]])[] = [
    [{ server: 'publicUrl: https://trac.example.edu/trac' }, ['server.publicUrl']],
    [{ server: 'publicUrl: https://trac.example.edu\n  listen: 127.0.0.1:1' }, ['server.listen']],
    [{ limits: 'header: 16KiB' }, ['server.limits.header']],
    [{ admin: 'listen: 127.0.0.1:1' }, ['admin.listen']],
    [{ admin: 'token: { fromEnv: TOKEN }' }, ['admin.token']],
    [{ identity: 'clientId: other' }, ['identity.clientId']],
    [{ identity: 'clientId: trac, maxTokenLife: 1h' }, ['identity.maxTokenLife']],
    [
      { identity: 'clientId: trac, username: { namesFile: /tmp/x }' },
      ['identity.username.namesFile'],
    ],
    [{ session: 'store: redis' }, ['session.store']],
    [{ session: 'revocationFile: /tmp/x' }, ['session.revocationFile']],
    [{ limits: 'body: 1MiB' }, []],
    [{ session: 'maxAge: 8d' }, []],
    [{ more: 'mode: shadow' }, []],
  ]
  const running = load({})
  t.ok(isSameConfig(running, load({})))
  for (const [change, keys] of changes) {
    const next = load(change)
    t.notOk(isSameConfig(running, next), JSON.stringify(change))
    t.same(fixedChanges(running, next), keys, JSON.stringify(change))
  }
})

await t.test('with Redis, the life of its records is fixed, too', async (t) => {
  const running = load({ session: 'store: redis' })
  const next = load({ session: 'store: redis, maxAge: 8d, idleTimeout: 9h' })
  t.same(fixedChanges(running, next), ['session.idleTimeout', 'session.maxAge'])
})

await t.test('another certificate in the same files is no change', async (t) => {
  t.ok(isSameConfig(load({}), load({ pair: renewed })))
})
