/** HSTS stands in one place: every answer has the same, an upstream's too, for as long as `server.hsts` says. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { ask } from '../fixtures/wire.js'

const { upstream } = await stage(t, { upstream: true, gateway: false })
const rows: readonly (readonly [setting: string | undefined, value: string])[] = [
  [undefined, 'max-age=31536000'],
  ['730d', 'max-age=63072000'],
  ['0s', 'max-age=0'],
  ['off', ''],
]
for (const [setting, value] of rows) {
  await t.test(`with ${setting ?? 'no'} server.hsts the header is "${value}"`, async (t) => {
    const { port } = await stage(t, {
      upstream,
      overlay: {
        server: {
          publicUrl: 'https://trac.example.edu/trac',
          trustedProxies: ['127.0.0.1'],
          ...(setting === undefined ? {} : { hsts: setting }),
        },
        permissions: { anonymous: ['WIKI_VIEW'] },
      },
    })
    const secure = ['Host: trac.example.edu', 'X-Forwarded-Proto: https']
    for (const [line, headers, status] of [
      ['GET /trac/wiki', secure, 200],
      ['GET /trac/auth/healthz', secure, 200],
      ['GET /trac/auth/none', secure, 404],
      ['GET /trac/wiki', ['Host: trac.example.edu', 'X-Forwarded-Proto: http'], 308],
      ['GET /trac/a b', secure, 400],
    ] as const) {
      const answer = await ask({ port }, line, headers)
      t.equal(answer.status, status, line)
      t.equal(answer.header('strict-transport-security'), value, line)
    }
  })
}
