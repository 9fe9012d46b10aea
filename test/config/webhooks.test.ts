/** What `check` says of webhooks. */
import { loadText, minimal, problemsOf } from '../fixtures/config.js'
import { t } from '../fixtures/tap.js'

const env = {
  HUB: 'sixteen bytes or more',
  SHORT: 'fifteen bytes..',
  STANDARD: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  BRIEF: 'whsec_MfKQ9r8GKYo=',
}
const sources = { env }
const hook = (more = '', form = 'github', secrets = '{ fromEnv: HUB }') =>
  `  - { name: a, path: /a, webhook: { form: ${form}, secrets: [${secrets}], username: ci-hook, groups: [admins] }${more} }\n`
const foundIn = (rows: string, config = minimal) =>
  problemsOf(`${config}routes:\n${rows}`, sources).map(({ path }) => path)

await t.test('a webhook takes POST, and nothing besides its signature', async (t) => {
  t.strictSame(foundIn(hook()), [])
  t.strictSame(foundIn(hook(', methods: [POST], access: authenticated')), [])
  t.strictSame(foundIn(hook(', methods: [POST, GET]')), ['routes[0].methods'])
  for (const access of ['public', 'optional', 'deny']) {
    t.strictSame(foundIn(hook(`, access: ${access}`)), ['routes[0].access'])
  }
  t.strictSame(foundIn(hook(', credentials: [bearer]')), ['routes[0].credentials'])
  t.strictSame(foundIn(hook(', websocket: true')), ['routes[0].websocket'])
  t.strictSame(foundIn(hook(', legacyAuth: true')), ['routes[0].legacyAuth'])
  t.strictSame(foundIn(hook(', cache: shared')), ['routes[0].cache'])
  const tokens = `${minimal}tokens: { file: /tmp/tokens }\n`
  t.strictSame(foundIn(hook(', basic: token'), tokens), ['routes[0].basic'])
  const verify = minimal.replace('server: {', 'server: { forwardAuth: nginx,')
  t.strictSame(foundIn(hook(), verify), ['routes[0].webhook'])
})

await t.test('its secrets are long, of its form, and two at most', async (t) => {
  const at = ['routes[0].webhook.secrets[0]']
  const by = (secrets: string, form = 'github') => foundIn(hook('', form, secrets))
  t.strictSame(by('{ fromEnv: SHORT }'), ['routes[0].webhook.secrets[0].fromEnv'])
  t.strictSame(by('{ fromEnv: HUB }', 'standard'), at)
  t.strictSame(by('{ fromEnv: BRIEF }', 'standard'), at)
  t.strictSame(by('{ fromEnv: STANDARD }', 'standard'), [])
  t.strictSame(by('{ fromEnv: HUB }, { fromEnv: STANDARD }'), [])
  t.strictSame(by('{ fromEnv: HUB }, { fromEnv: HUB }'), ['routes[0].webhook.secrets[1]'])
  t.strictSame(by(''), ['routes[0].webhook.secrets'])
  t.strictSame(by('{ fromEnv: HUB }, { fromEnv: STANDARD }, { fromEnv: BRIEF }'), [
    'routes[0].webhook.secrets',
  ])
})

await t.test('its name is its own, unless another rule is for the same sender', async (t) => {
  const two = hook() + hook().replace('name: a, path: /a', 'name: b, path: /b')
  t.strictSame(foundIn(two), [])
  const machine = minimal.replace(
    'clientId: trac',
    'clientId: trac, machines: { m1: { username: CI-hook } }',
  )
  t.not(machine, minimal)
  t.strictSame(foundIn(hook(), machine), ['routes[0].webhook.username'])
  t.strictSame(foundIn(hook().replace('ci-hook', 'admins')), ['routes[0].webhook.username'])
})

await t.test('a group that grants nothing is worth a thought', async (t) => {
  const { config, warnings } = loadText(
    `${minimal}routes:\n${hook().replace('[admins]', '[nobody]')}`,
    sources,
  )
  t.ok(warnings.some(({ name }) => name === 'webhook-groups'))
  t.equal(config.routes[0]?.webhook?.username, 'ci-hook')
})
