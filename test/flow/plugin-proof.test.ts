/** Trac's plugin proves its answers; an upstream that does not is told of until it does. */
import { t } from '../fixtures/tap.js'
import { answerMac, keyFingerprint } from '../../src/trac/signature.js'
import { secrets } from '../fixtures/config.js'
import { stage } from '../fixtures/stage.js'
import { ask } from '../fixtures/wire.js'

const key = { id: 'k1', secret: secrets.SIGNING }

/** What the upstream answers next: a status, and how its proof is made. */
let status = 200
let proof: (signature: string) => string | undefined = () => undefined

const { gateway, upstream, clock } = await stage(t, {
  upstream: true,
  api: true,
  overlay: {
    routes: [
      { name: 'own', path: '/wiki/Own', access: 'public' },
      { name: 'api', path: '/api/**', upstream: 'api', access: 'public' },
    ],
  },
  answer(request, response) {
    const value = proof(String(request.headers['x-trac-signature'] ?? ''))
    if (value !== undefined) response.setHeader('X-Trac-Gateway', value)
    response.writeHead(status).end()
  },
})

const good = (signature: string) => `v1;0.2;${answerMac(key, signature, '0.2')}`
const trouble = () =>
  gateway.gateway.readiness.report().degraded.filter((text) => text.includes('X-Trac-Gateway'))
const visit = async (path = '/wiki/X') => {
  const answer = await ask(gateway, `GET /trac${path}`)
  t.equal(answer.header('x-trac-gateway'), '', 'the proof stays here')
  return answer
}

await t.test('nothing is said before an answer tells', async (t) => {
  for (const [code, path] of [
    [404, '/wiki/X'],
    [403, '/wiki/X'],
    [500, '/wiki/X'],
    [302, '/wiki/X'],
    [200, '/wiki/Own'],
    [200, '/api/x'],
  ] as const) {
    status = code
    await visit(path)
    t.strictSame(trouble(), [], `${code} ${path}`)
  }
})

await t.test(
  'an answer without a proof, or with a wrong one, is trouble; a good one ends it',
  async (t) => {
    status = 200
    const wrong: readonly (readonly [string, typeof proof])[] = [
      ['none', () => undefined],
      ['an empty one', () => ''],
      ['one of another request', () => good('v1;t=1;e=2;n=AAAAAAAAAAAAAAAAAAAAAA;kid=k1;sig=x')],
      ['another version', (signature) => good(signature).replace('0.2', '0.3')],
      [
        'of another key',
        (s) => `v1;0.2;${answerMac({ ...key, secret: 'x'.repeat(32) }, s, '0.2')}`,
      ],
      ['twice', (signature) => `${good(signature)}, ${good(signature)}`],
    ]
    for (const [what, make] of wrong) {
      proof = make
      await visit()
      t.equal(trouble().length, 1, what)
      proof = good
      await visit()
      t.strictSame(trouble(), [], `after ${what}`)
      proof = make
      await visit()
      t.equal(trouble().length, make('') === undefined ? 1 : 0, 'a header counts for a second')
      clock.advance(1000)
    }
    status = 304
    proof = () => undefined
    await visit()
    t.equal(trouble().length, 1, 'a 304 tells, too')
    const lines = gateway.lines.filter(({ msg }) => String(msg).includes('X-Trac-Gateway'))
    t.equal(lines.length, 1, 'it is logged once')
  },
)

await t.test('Trac is told the fingerprint of the key, and nobody else is', async (t) => {
  status = 200
  proof = good
  await visit()
  t.equal(upstream.lastHeaders()['via'], `1.1 trac-gateway (key k1 ${keyFingerprint(key)})`)
  await visit('/api/x')
  t.equal(upstream.lastHeaders()['via'], '1.1 trac-gateway')
  t.match(keyFingerprint(key), /^[0-9a-f]{8}$/)
})
