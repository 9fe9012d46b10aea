/** Names that Trac can use, and the groups that a name must not be. */
import t from 'tap'
import { configuredGroups, foldName, nameFault } from '../../src/config/names.js'
import { loadText, minimal } from '../fixtures/config.js'

void t.test('takes ordinary names, in any script', async (t) => {
  for (const name of [
    'alice',
    'ci-bot',
    'zoë',
    'Иван',
    '李雷',
    'a.b+c@example.edu',
    'x'.repeat(255),
  ]) {
    t.equal(nameFault(name, new Set()), undefined, name)
  }
})

void t.test(
  'refuses names that mean somebody else, or are read differently on the way',
  async (t) => {
    const groups = new Set(['staff'])
    const refused: readonly [string, RegExp][] = [
      ['', /empty/],
      ['x'.repeat(256), /255/],
      ['Anonymous', /somebody else/],
      ['AUTHENTICATED', /somebody else/],
      ['trac_admin', /permission/],
      ['Staff', /group/],
      ['a,b', /comma/],
      ['a ', /white space/],
      ['a\nb', /control/],
      ['a\u200Db', /control or format/],
      ['a\u2028b', /control or format/],
      ['\uD800', /control or format/],
      ['ﬁ', /NFKC/],
      ['a\u0301', /NFKC/],
    ]
    // Named by its length: some of these names would break the report itself.
    for (const [name, why] of refused)
      t.match(nameFault(name, groups), why, `${why}, ${name.length}`)
  },
)

void t.test('two spellings of one name are one', async (t) => {
  t.equal(foldName('ALICE'), foldName('alice'))
  t.equal(foldName('straße'), foldName('STRASSE'))
})

void t.test('finds every group of a configuration', async (t) => {
  const text = minimal.replace(
    'clientId: trac',
    'clientId: trac, machines: { m: { username: x, groups: [bots] } }, additionalIssuers: [{ issuer: https://p.example, clients: [c], prefix: p/, groups: { partners: [] } }]',
  )
  const { config } = loadText(
    `${text}permissions: { groups: { admins: [] } }
routes: [{ name: a, path: /a, require: { anyGroup: [staff] } }]
`,
  )
  t.same([...configuredGroups(config)], ['admins', 'partners', 'bots', 'staff'])
})
