/** A name is judged alike by `check` and by a running gateway, for people and for machines. */
import { t } from '../fixtures/tap.js'
import { forbiddenNames } from '../../src/config/topics/identity/user-names.js'
import type { Config } from '../../src/config/schema.js'
import type { GatewayError } from '../../src/core/errors.js'
import { createNaming } from '../../src/trac/user-names.js'
import { loadText, minimal, problemsOf } from '../fixtures/config.js'

/** Names groups and actions wherever they can be named. */
const named = `permissions:
  groups: { admins: [TRAC_ADMIN], learners: [LEARNING_PARTICIPATE] }
  authenticated: [PLUGIN_A]
  anonymous: [PLUGIN_B]
  fromClaims: [nonAdmin, PLUGIN_C]
routes:
  - name: a
    path: /a
    require: { anyPermission: [PLUGIN_D], allPermissions: [PLUGIN_E], anyGroup: [staff] }
`

function withNames(alias: string, machine: string, nameCase: string): string {
  const quoted = (name: string) => JSON.stringify(name)
  return (
    minimal.replace(/^permissions.*\n/m, '').replace(
      'clientId: trac',
      () => `clientId: trac,
  machines: { m: { username: ${quoted(machine)}, groups: [bots] } },
  username: { aliases: { s: ${quoted(alias)} }, case: ${nameCase} },
  additionalIssuers: [{ issuer: https://p.example, clients: [c], prefix: p/, groups: { partners: [PLUGIN_F] } }]`,
    ) + named
  )
}

await t.test('finds every group and action that a configuration names', async (t) => {
  const { config } = loadText(withNames('alice', 'bot', 'keep'))
  const forbidden = forbiddenNames(config)
  for (const name of ['admins', 'learners', 'partners', 'bots', 'staff']) {
    t.match(forbidden.get(name), /group/, name)
  }
  for (const name of ['learning_participate', ...'abcdef'.split('').map((x) => `plugin_${x}`)]) {
    t.match(forbidden.get(name), /permission/, name)
  }
  t.match(forbidden.get('wiki_view'), /permission of Trac/)
  t.equal(forbidden.get('alice'), undefined)
})

/** Names with what each of the two makes of it: nothing, or a refusal. */
const names = [
  ...['alice', 'Alice', 'zoë', 'a b', 'x'.repeat(255), '𠀀'.repeat(255), '𠀀'.repeat(256), 'Иван'],
  ...['', 'x'.repeat(256), 'Anonymous', 'wiki_view', 'Staff', 'bots', 'a,b', ' a', 'a\u200Db', 'ﬁ'],
  ...[
    'nonadmin',
    'nonAdmin',
    'learning_participate',
    'Plugin_A',
    'PLUGIN_B',
    'plugin_c',
    'plugin_d',
    'plugin_e',
  ],
  ...['😀'.repeat(200), '😀'.repeat(256), 'learning_Participate'],
  ...['plugin_f', 'partners', 'a@b.example', 'TRAC_ADMIN', 'authenticated', 'ALİCE'],
]

/** Whether a running gateway refuses a name, as a person's and as a machine's. */
function refusals(config: Config, name: string): readonly boolean[] {
  const { username } = config.identity
  const naming = createNaming({
    aliases: { s: name },
    issuers: [config.identity.issuer],
    emailLocalPart: username.emailLocalPart,
    case: username.case,
    machineNames: [name],
    forbidden: forbiddenNames(config),
    email: 'verified',
    prefixes: [],
  })
  const profile = { subject: 's', username: undefined, email: undefined, emailVerified: false }
  const source = { issuer: config.identity.issuer, main: true, prefix: '', bySubject: false }
  const isRefused = (work: () => string): boolean => {
    try {
      return work() === ''
    } catch (error) {
      return (error as GatewayError).code === 'ERR_NAME_REFUSED'
    }
  }
  const person = { ...profile, name: undefined, groups: [], permissions: [] }
  return [
    isRefused(() => naming.nameOf(person, source)),
    isRefused(() => naming.checkMachineName(name)),
  ]
}

await t.test('what `check` accepts is used, and what it refuses would be refused', async (t) => {
  for (const nameCase of ['keep', 'lower']) {
    const { config } = loadText(withNames('alice', 'bot', nameCase))
    for (const name of names) {
      const at = (text: string, path: string): boolean =>
        problemsOf(text).some((problem) => problem.path === path)
      const checked = [
        at(withNames(name, 'bot', nameCase), 'identity.username.aliases.s'),
        at(withNames('carol', name, nameCase), 'identity.machines.m.username'),
      ]
      t.same(checked, refusals(config, name), `${nameCase}, ${JSON.stringify(name.slice(0, 30))}`)
    }
  }
})
