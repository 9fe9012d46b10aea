/** What `check` says of personal tokens. */
import { loadText, minimal, problemsOf } from '../fixtures/config.js'
import { t } from '../fixtures/tap.js'

const file = 'tokens: { file: /tmp/tokens }\n'
const row = (more: string) => `routes: [{ name: a, path: /a, ${more} }]\n`
const foundIn = (more: string) => problemsOf(minimal + more).map(({ path }) => path)

await t.test('tokens need a place, and numbers that fit together', async (t) => {
  t.strictSame(foundIn('tokens: {}\n'), ['tokens'])
  t.strictSame(foundIn(file), [])
  t.strictSame(foundIn('tokens: { file: /tmp/t, defaultAge: 90d, maxAge: 30d }\n'), [
    'tokens.defaultAge',
  ])
  t.strictSame(foundIn('tokens: { file: /tmp/t, perUser: 101 }\n'), ['tokens.perUser'])
  t.strictSame(foundIn('tokens: { file: /tmp/t, ownerSeen: 0 }\n'), ['tokens.ownerSeen'])
  const { tokens } = loadText(minimal + file).config
  t.match(tokens, { defaultAge: 90 * 86_400_000, ownerSeen: 14 * 86_400_000, perUser: 20 })
})

await t.test('`never` must be written out, and is worth a thought', async (t) => {
  const { config, warnings } = loadText(`${minimal}tokens: { file: /tmp/t, ownerSeen: never }\n`)
  t.equal(config.tokens?.ownerSeen, 'never')
  t.ok(warnings.some(({ name }) => name === 'unseen-token-owners'))
})

await t.test('Basic wants tokens, is nobody else’s, and is among the credentials', async (t) => {
  const at = ['routes[0].basic']
  t.strictSame(foundIn(row('basic: token')), at)
  t.strictSame(foundIn(file + row('basic: token')), [])
  t.strictSame(foundIn(file + row('basic: token, legacyAuth: true')), at)
  t.strictSame(foundIn(file + row('basic: token, credentials: [bearer]')), at)
  const legacy = minimal.replace('trac: {', 'trac: { legacyAuth: true,')
  t.not(legacy, minimal)
  const problems = (more: string) => problemsOf(legacy + file + more).map(({ path }) => path)
  t.strictSame(problems(row('basic: token')), at, 'by the upstream, too')
  t.strictSame(problems(row('basic: token, legacyAuth: false')), [])
})
