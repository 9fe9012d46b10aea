/** What earlier releases wrote is read, and what is written they can read. */
import { t } from '../fixtures/tap.js'
import { createSealer } from '../../src/session/sealer.js'
import { readRecord, wholeSecond, writeRecord } from '../../src/session/session-record.js'
import { sealContext } from '../fixtures/rotating-provider.js'

/** As release 0.1 wrote it, members in this order. */
const written =
  '{"id":"AAAAAAAAAAAAAAAAAAAAAA","v":3,"profile":{"subject":"sub-1","username":"alice",' +
  '"email":"alice@example.edu","emailVerified":true,"groups":["students"],"permissions":[]},' +
  '"ids":["origin_jti o1","jti j3"],"auth":1699999990,"start":1700000000,"seen":1700003000,' +
  '"exp":1700006600,"renew":1700005700,"refresh":"refresh-3","access":"access-3"}'

/** The same as a cookie of release 0.1, sealed with the secret of the tests. */
const cookie =
  'eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoidHJhYy1nYXRld2F5LXNlc3Npb24tMSIsImN0eCI6Il9LZ0' +
  'tyMTczb3dXc084Q2tpdHV5aTBteUttMU8wT3dLWEpDeDdaWmNRSVkiLCJraWQiOiIyOVh2eEsweCJ9..kHWcwfRhyTNWK8gC.' +
  '6juHL13dG14olWVY7JcaqtIEAnUwd_hMq3fH9jlxEjVX5V66Nzb1zWQXpwJptS1d5cYK4jIMXWkatjLHzhjSgG9SSqfWY2jre' +
  'ZvRmO_c_LjIqFc9wCTl4jr-386NPV66Sgv17VEFbn7340TNm8L1L1MbzRb1wmhuHd1yEmFb0WEOhk_XkN3yhLa9snAIvYC6dqV' +
  'NmsYTM5Uk4JAuGI5iQ5r1dJRjWWrMGXXsrmIKOyaB2tCzXEmRmuRHSItIPQapfev_W89v57eYThIFsa3X9Qumg3AtGgN6SIkPT' +
  'MjwEMvK3ZdzdKTJ9HJx0N6yxbRJ1ZSUyGsLHfUevwpL-XIk0fEcouKzCo0r9nNunbRgPTLpdLEfDRAuJ28G4iFfxoPVfl1QZxG' +
  'EsSTsrx2msPxuhGQ7jZrFXysrnDCilzqCXQhAriwJeJ3oqiP0bbSm2S7ofBBiHw.OjoXTzMuuXmFx9Y_QKyyHw'

await t.test('a record of release 0.1 is read, its instants as milliseconds', async (t) => {
  t.same(readRecord(JSON.parse(written)), {
    id: 'AAAAAAAAAAAAAAAAAAAAAA',
    version: 3,
    profile: {
      subject: 'sub-1',
      username: 'alice',
      email: 'alice@example.edu',
      emailVerified: true,
      groups: ['students'],
      permissions: [],
    },
    tokenIds: ['origin_jti o1', 'jti j3'],
    authenticatedAt: 1_699_999_990_000,
    issuedAt: 1_699_999_990_000,
    begunAt: 1_700_000_000_000,
    startedAt: 1_700_000_000_000,
    usedAt: 1_700_003_000_000,
    expiresAt: 1_700_006_600_000,
    renewAt: 1_700_005_700_000,
    refreshToken: 'refresh-3',
    accessToken: 'access-3',
  })
})

await t.test('what was read is written as the same bytes', async (t) => {
  t.equal(JSON.stringify(writeRecord(readRecord(JSON.parse(written)))), written)
})

await t.test('a record without tokens is written without their members', async (t) => {
  const bare = written.replace(/,"refresh".*\}/, '}')
  t.equal(JSON.stringify(writeRecord(readRecord(JSON.parse(bare)))), bare)
})

await t.test(
  'when a sign-in began, and its token was made, is kept beside what 0.1 reads',
  async (t) => {
    const times = { begunAt: 1_699_999_987_654, issuedAt: 1_700_000_001_000 }
    const record = { ...readRecord(JSON.parse(written)), ...times }
    t.match(writeRecord(record), { ...(JSON.parse(written) as object), ago: 12_346, iat: 1 })
    t.same(readRecord(writeRecord(record)), record)
  },
)

await t.test('a cookie that release 0.1 sealed opens', async (t) => {
  const opened = await createSealer('session', sealContext).open(cookie)
  t.same(opened, { value: JSON.parse(written), stale: false })
})

await t.test('an instant loses its fraction of a second, as it would in writing', async (t) => {
  const record = readRecord(JSON.parse(written))
  const at = 1_700_000_000_999
  t.equal(wholeSecond(at), 1_700_000_000_000)
  t.same(readRecord(writeRecord({ ...record, usedAt: at })).usedAt, wholeSecond(at))
})
