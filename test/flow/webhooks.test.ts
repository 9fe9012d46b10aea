/** Deliveries of webhooks: proven by the signature of their bytes and by nothing else, and sent on as they came. */
import { createHmac, randomBytes } from 'node:crypto'
import { createIdentityProof } from '../../src/forward/identity-proof.js'
import { secretOf } from '../fixtures/config.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { Wire, ask, codeOf } from '../fixtures/wire.js'

/** The example of GitHub's documentation. */
const secret = "It's a Secret to Everybody"
const hello = 'Hello, World!'
const signed = '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'

const older = 'the secret of before'
const key = randomBytes(24)
const oldKey = randomBytes(24)

const hook = (form: string, names: readonly string[], more: object = {}) => ({
  name: form,
  path: `/hooks/${form}`,
  upstream: 'api',
  webhook: {
    form,
    secrets: names.map((name) => ({ fromEnv: name })),
    username: `${form}-hook`,
    groups: ['builders'],
  },
  ...more,
})

const s = await stage(t, {
  provider: 'scripted',
  upstream: true,
  api: true,
  person: {},
  env: {
    HUB: secret,
    OLDER: older,
    LAB: secret,
    API_SIGNING: secretOf('p'),
    ADMIN: secretOf('q'),
    STANDARD: `whsec_${key.toString('base64')}`,
    OLD_STANDARD: `whsec_${oldKey.toString('base64')}`,
  },
  overlay: {
    admin: { token: { fromEnv: 'ADMIN' } },
    server: { limits: { body: '3MiB' } },
    permissions: { groups: { builders: ['TICKET_APPEND'] } },
    upstreams: { api: { signingKeys: [{ id: 'k2', secret: { fromEnv: 'API_SIGNING' } }] } },
    rateLimit: { badTokens: { max: 100_000 } },
    routes: [
      hook('github', ['HUB', 'OLDER'], { require: { anyPermission: ['TICKET_APPEND'] } }),
      hook('gitlab', ['LAB']),
      hook('standard', ['STANDARD', 'OLD_STANDARD']),
      hook('admin', ['HUB'], {
        webhook: {
          form: 'github',
          secrets: [{ fromEnv: 'HUB' }],
          username: 'admin-hook',
          groups: ['builders'],
        },
        require: { anyPermission: ['TRAC_ADMIN'] },
      }),
      hook('narrow', ['HUB'], {
        webhook: { form: 'github', secrets: [{ fromEnv: 'HUB' }], username: 'narrow-hook' },
        rateLimit: { max: 2, per: '1m' },
      }),
    ],
  },
})
const { gateway, upstream, clock } = s
// Whole seconds, as senders sign them.
clock.stop()
clock.advance(1000 - (clock() % 1000))

const macOf = (body: string | Buffer, by: string | Buffer = secret) =>
  createHmac('sha256', by).update(body).digest('hex')
const hub = (body: string | Buffer, by = secret) => `X-Hub-Signature-256: sha256=${macOf(body, by)}`

const now = () => Math.floor(clock() / 1000)
const mac64 = (id: string, at: number, body: string, by: Buffer) =>
  `v1,${createHmac('sha256', by).update(`${id}.${at}.${body}`).digest('base64')}`
const standard = (id: string, at: number, body: string, by: Buffer = key) => [
  `webhook-id: ${id}`,
  `webhook-timestamp: ${at}`,
  `webhook-signature: ${mac64(id, at, body, by)}`,
]

const lengthOf = (body: string) => `Content-Length: ${Buffer.byteLength(body)}`

/** Delivers; gives the status, and the code of a refusal. Whatever is refused reached nobody. */
async function deliver(path: string, headers: readonly string[], body = hello, method = 'POST') {
  const before = upstream.received.length
  const line = `${method} /trac/hooks/${path}`
  const answer = await ask(gateway, line, [...headers, lengthOf(body)], body)
  const reached = upstream.received.length - before
  if ((answer.status === 200) !== (reached === 1)) throw new Error(`${reached} reached Trac's side`)
  return answer.status === 200 ? '200' : `${answer.status} ${codeOf(answer)}`
}

const unsigned = '401 ERR_WEBHOOK_SIGNATURE'
const replayed = '401 ERR_WEBHOOK_REPLAYED'
const lastLine = () => gateway.lines.findLast(({ msg }) => msg === 'request')

await t.test('the example of GitHub’s documentation passes, as its machine', async (t) => {
  t.equal(macOf(hello), signed)
  t.equal(await deliver('github', [`X-Hub-Signature-256: sha256=${signed}`]), '200')
  const headers = upstream.lastHeaders()
  t.match(headers, {
    'x-trac-user': 'github-hook',
    'x-trac-perms': /TICKET_APPEND/,
    'x-trac-signature': /./,
    'x-hub-signature-256': `sha256=${signed}`,
    'content-length': String(hello.length),
  })
  t.equal(upstream.received.at(-1)?.body.toString(), hello)
  t.match(lastLine(), { user: 'github-hook', via: 'webhook', status: 200 })
})

await t.test('one byte of the body, another secret or no signature is 401', async (t) => {
  const good = `X-Hub-Signature-256: sha256=${signed}`
  t.equal(await deliver('github', [good], 'Hello, World?'), unsigned)
  t.equal(await deliver('github', [good], ''), unsigned)
  t.equal(await deliver('github', [hub(hello, 'another secret, of somebody')]), unsigned)
  t.match(lastLine(), { code: 'ERR_WEBHOOK_SIGNATURE', found: { signature: /another body/ } })
  t.equal(lastLine()?.['user'], undefined, 'nobody was proven')
  t.equal(lastLine()?.['via'], undefined)
  t.equal(await deliver('github', []), unsigned)
  for (const value of ['', signed, `sha1=${signed}`, `sha256=${signed}0`, `sha256= ${signed}`])
    t.equal(await deliver('github', [`X-Hub-Signature-256: ${value}`]), unsigned, value)
  t.equal(await deliver('github', [good, good]), '400 ERR_HEADER_REPEATED')
  t.equal(await deliver('github', [`X_Hub_Signature_256: sha256=${signed}`]), unsigned)
  t.equal(await deliver('github', [`X-Gitlab-Token: ${secret}`]), unsigned)
  t.notMatch(gateway.log(), secret)
})

await t.test('an empty body is signed like any other', async (t) => {
  t.equal(await deliver('github', [hub('')], ''), '200')
  t.equal(upstream.lastHeaders()['content-length'], '0')
})

await t.test('either of two secrets counts while they change', async (t) => {
  t.equal(await deliver('github', [hub(hello, older)]), '200')
  t.equal(await deliver('standard', standard('old-secret', now(), hello, oldKey)), '200')
})

await t.test('cookie and token of somebody else count for nothing and go no further', async (t) => {
  const cookie = `Cookie: ${s.visitor.cookieHeader(s.url)}; other=1`
  const others = [cookie, s.bearerOf()]
  t.equal(await deliver('github', others), unsigned)
  t.equal(await deliver('github', [...others, 'X-Trac-User: alice', hub(hello)]), '200')
  const headers = upstream.lastHeaders()
  t.equal(headers['x-trac-user'], 'github-hook')
  t.equal(headers['cookie'], undefined)
  t.equal(headers['authorization'], undefined)
  t.equal(await deliver('github', ['Authorization: Bearer x', hub(hello)]), '200')
})

await t.test(
  'another site’s page asks in vain for a secret, and CSRF rules do not apply',
  async (t) => {
    const foreign = ['Origin: https://other.example', 'Sec-Fetch-Site: cross-site']
    t.equal(await deliver('github', [...foreign, hub(hello)]), '200')
    t.equal(await deliver('github', foreign), unsigned)
  },
)

await t.test('what the row asks for besides is judged before the body is read', async (t) => {
  t.equal(await deliver('admin', [hub(hello)]), '403 ERR_PERMISSION_REQUIRED')
})

await t.test('a rate limit counts by address, since nobody is proven yet', async (t) => {
  t.equal(await deliver('narrow', [hub(hello)]), '200')
  t.equal(await deliver('narrow', [hub(hello, 'a secret that is wrong')]), unsigned)
  t.equal(await deliver('narrow', [hub(hello)]), '429 ERR_RATE_LIMITED')
})

await t.test('GitLab’s token is compared and goes no further', async (t) => {
  t.equal(
    await deliver('gitlab', [`X-Gitlab-Token: ${secret}`, 'X-Gitlab-Event: Push Hook']),
    '200',
  )
  t.match(upstream.lastHeaders(), { 'x-trac-user': 'gitlab-hook', 'x-gitlab-event': 'Push Hook' })
  t.equal(upstream.lastHeaders()['x-gitlab-token'], undefined)
  for (const value of ['', 'x', `${secret}x`, secret.slice(1)])
    t.equal(await deliver('gitlab', [`X-Gitlab-Token: ${value}`]), unsigned, value)
  t.equal(await deliver('gitlab', []), unsigned)
  const twice = [`X-Gitlab-Token: ${secret}`, `X-Gitlab-Token: ${secret}`]
  t.equal(await deliver('gitlab', twice), '400 ERR_HEADER_REPEATED')
})

await t.test(
  'a delivery that signs its time counts once, and another try signs anew',
  async (t) => {
    const first = standard('msg_1', now(), hello)
    t.equal(await deliver('standard', first), '200')
    t.equal(upstream.lastHeaders()['x-trac-user'], 'standard-hook')
    t.equal(await deliver('standard', first), replayed)
    t.match(lastLine(), { code: 'ERR_WEBHOOK_REPLAYED', found: { delivery: 'msg_1' } })
    // Signed by both secrets, it is the same delivery whichever of the two is sent again.
    const both = [
      ...['webhook-id: msg_2', `webhook-timestamp: ${now()}`],
      `webhook-signature: ${mac64('msg_2', now(), hello, key)} v2,x ${mac64('msg_2', now(), hello, oldKey)}`,
    ]
    t.equal(await deliver('standard', both), '200')
    t.equal(await deliver('standard', standard('msg_2', now(), hello, oldKey)), replayed)
    const before = now()
    clock.advance(5000)
    t.equal(await deliver('standard', standard('msg_1', now(), hello)), '200')
    clock.advance(294_000)
    t.equal(
      await deliver('standard', standard('msg_1', before, hello)),
      replayed,
      'before 5 minutes',
    )
    clock.advance(2000)
    t.equal(await deliver('standard', standard('msg_1', before, hello)), replayed, 'and after')
  },
)

await t.test(
  'a time more than five minutes away is refused, and so is what was not signed',
  async (t) => {
    t.equal(await deliver('standard', standard('edge', now() - 299, hello)), '200')
    t.equal(await deliver('standard', standard('ahead', now() + 299, hello)), '200')
    t.equal(await deliver('standard', standard('late', now() - 302, hello)), replayed)
    t.match(lastLine(), { found: { ahead: -302 }, wanted: { ahead: 300 } })
    t.equal(await deliver('standard', standard('early', now() + 302, hello)), replayed)
    const [id = '', at = '', by = ''] = standard('parts', now(), hello)
    t.equal(await deliver('standard', [id, by]), unsigned)
    t.equal(await deliver('standard', [at, by]), unsigned)
    t.equal(await deliver('standard', [id, at]), unsigned)
    t.equal(await deliver('standard', ['webhook-id: other', at, by]), unsigned)
    t.equal(await deliver('standard', [id, `webhook-timestamp: ${now() + 1}`, by]), unsigned)
    t.equal(await deliver('standard', [id, at, by, id]), '400 ERR_HEADER_REPEATED')
    // Where id, time and body meet can't be moved.
    t.equal(await deliver('standard', standard(`dot.${now()}`, now(), hello)), unsigned)
    t.equal(await deliver('standard', [id, at, by]), '200', 'none of them used it up')
  },
)

await t.test('a body in chunks is collected, and arrives byte for byte', async (t) => {
  const body = randomBytes(2 * 1024 * 1024 + 17)
  const send = async (signature: string) => {
    const wire = new Wire(gateway.port)
    wire.send(
      `POST /trac/hooks/github HTTP/1.1\r\nHost: localhost:${gateway.port}\r\n` +
        `Transfer-Encoding: chunked\r\n${signature}\r\n\r\n`,
    )
    for (let at = 0; at < body.length; at += 300_000) {
      const part = body.subarray(at, at + 300_000)
      wire.send(`${part.length.toString(16)}\r\n${part.toString('latin1')}\r\n`)
    }
    wire.send('0\r\n\r\n')
    const answer = await wire.answer('POST')
    wire.destroy()
    return answer
  }
  const before = upstream.received.length
  const refused = await send(hub(Buffer.concat([body.subarray(0, -1), Buffer.from([0, 1])])))
  t.equal(refused?.status, 401)
  t.equal(upstream.received.length, before)
  t.equal((await send(hub(body)))?.status, 200)
  t.ok(upstream.received.at(-1)?.body.equals(body))
  t.equal(upstream.lastHeaders()['content-length'], String(body.length))
})

await t.test('a body that is too large is refused, and nobody gets a part of it', async (t) => {
  const body = 'x'.repeat(3 * 1024 * 1024 + 1)
  t.equal(await deliver('github', [hub(body)], body), '413 ERR_BODY_TOO_LARGE')
})

await t.test('no other method and no upgrade gets through such a row', async (t) => {
  const good = [hub('')]
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    t.match(await deliver('github', good, '', method), /^4/, method)
  }
  const preflight = ['Origin: https://other.example', 'Access-Control-Request-Method: POST']
  t.match(await deliver('github', [...preflight, ...good], '', 'OPTIONS'), /^405/)
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket']
  t.match(await deliver('github', [...upgrade, ...good], ''), /^4/)
  t.match(await deliver('github', [...upgrade, ...good], '', 'GET'), /^4/)
})

await t.test('nobody’s identity is told to an upstream while it is only claimed', async (t) => {
  const prove = createIdentityProof({
    host: 'localhost',
    anonymous: { user: '', perms: '', email: '', name: '' },
    minimumRate: 1,
    now: clock,
  })
  t.throws(() => prove({ isClaimed: true } as never, undefined, 0), { code: 'ERR_INTERNAL' })
})

await t.test(
  'explain says whose a delivery would be, and that its body was not judged',
  async (t) => {
    const explain = async (headers: readonly (readonly [string, string])[]) => {
      const answer = await fetch(`${gateway.adminUrl}/explain`, {
        method: 'POST',
        headers: { authorization: `Bearer ${secretOf('q')}` },
        body: JSON.stringify({ method: 'POST', target: '/trac/hooks/github', headers }),
      })
      return await answer.json()
    }
    t.match(await explain([['X-Hub-Signature-256', `sha256=${signed}`]]), {
      decision: { outcome: 'forward', upstream: 'api' },
      identity: { user: 'github-hook', via: 'webhook' },
      notJudged: [/the signature of the body/],
    })
    t.match(await explain([]), { decision: { code: 'ERR_WEBHOOK_SIGNATURE' } })
  },
)

await t.test('bad deliveries count as bad tokens of their address', async (t) => {
  const few = await stage(t, {
    upstream,
    api: upstream,
    clock,
    env: { HUB: secret },
    overlay: {
      rateLimit: { badTokens: { max: 2, per: '1m' } },
      routes: [hook('github', ['HUB'])],
    },
  })
  const once = async (signature: string) =>
    codeOf(await ask(few.gateway, 'POST /trac/hooks/github', [signature, lengthOf(hello)], hello))
  t.equal(await once(hub('other')), 'ERR_WEBHOOK_SIGNATURE')
  t.equal(await once('X-Hub-Signature-256: none'), 'ERR_WEBHOOK_SIGNATURE')
  t.equal(await once(hub(hello)), 'ERR_RATE_LIMITED')
  clock.advance(61_000)
  t.equal(await once(hub(hello)), '')
})

await t.test('a reload forgets no delivery', async (t) => {
  const overlay = {
    admin: { token: { fromEnv: 'ADMIN' } },
    permissions: { groups: { builders: ['TICKET_APPEND'] } },
    routes: [hook('standard', ['STANDARD'])],
  }
  const delivery = standard('over-a-reload', now(), hello)
  t.equal(await deliver('standard', delivery), '200')
  t.ok(await gateway.reload(overlay))
  t.equal(await deliver('standard', delivery), replayed)
  t.equal(await deliver('standard', standard('after-it', now(), hello)), '200')
})
