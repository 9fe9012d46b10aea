/** `workers`: more than one needs Redis. */
import { t } from '../fixtures/tap.js'
import { loadText } from '../fixtures/config.js'

const load = (workers: string, session = '') =>
  loadText(
    `
server: { publicUrl: http://localhost:8080 }
identity: { issuer: https://idp.example.edu, clientId: trac }
session: { secrets: [{ fromEnv: SESSION }], ${session} }
upstreams: { trac: { url: http://127.0.0.1:8001 } }
permissions: { groups: {} }
workers: ${workers}
`,
    { env: { REDIS: 'redis://127.0.0.1:6379' } },
  ).config.workers

const redis = 'store: redis, redis: { url: { fromEnv: REDIS } }'

await t.test('several workers need a store that they share; the message says which', async (t) => {
  t.throws(() => load('2'), {
    message:
      /workers: found 2, while sessions are in the cookie; wanted session\.store: redis with session\.redis\.url, .*; or workers: 1$/,
  })
  t.equal(load('2', redis), 2)
  t.equal(load('1'), 1)
})

await t.test('their number is bounded', async (t) => {
  t.throws(() => load('65', redis), { message: /workers: found 65; wanted at most 64/ })
  t.throws(() => load('0', redis), { message: /workers: .*wanted a whole number from 1/ })
})
