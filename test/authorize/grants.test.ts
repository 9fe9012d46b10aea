/** What groups and claims grant, expanded, and where each action came from. */
import { t } from '../fixtures/tap.js'
import { anonymousGrants, createGrants } from '../../src/authorize/grants.js'
import type { PermissionRules } from '../../src/authorize/grants.js'
import { tracActions } from '../../src/trac/permissions.js'

const rules: PermissionRules = {
  groups: {
    admins: ['TRAC_ADMIN'],
    writers: ['WIKI_ADMIN', 'PLUGIN_USE'],
    readers: ['WIKI_VIEW'],
    nobody: [],
  },
  authenticated: ['SEARCH_VIEW'],
  anonymous: ['WIKI_VIEW'],
  fromClaims: 'nonAdmin',
}
const actionsOf = (
  groups: readonly string[],
  claimed: readonly string[] = [],
  more: Partial<PermissionRules> = {},
) => [...createGrants({ ...rules, ...more })(groups, claimed).permissions]

await t.test('everybody who is signed in has what anonymous visitors have, and more', (t) => {
  t.same(actionsOf([]), ['SEARCH_VIEW', 'WIKI_VIEW'])
  t.same([...anonymousGrants(rules).permissions], ['WIKI_VIEW'])
  t.same(actionsOf(['nobody', 'unknown', '__proto__', 'constructor']), ['SEARCH_VIEW', 'WIKI_VIEW'])
  t.end()
})

await t.test('groups add up, meta actions expand, unknown ones are kept', (t) => {
  const actions = actionsOf(['writers', 'readers'])
  for (const action of ['WIKI_ADMIN', 'WIKI_DELETE', 'WIKI_RENAME', 'PLUGIN_USE']) {
    t.ok(actions.includes(action), action)
  }
  t.notOk(actions.includes('TICKET_VIEW'))
  t.same(actions, actions.toSorted(), 'in one order')
  t.end()
})

await t.test('TRAC_ADMIN is everything that Trac knows', (t) => {
  const actions = actionsOf(['admins'])
  for (const action of Object.keys(tracActions)) t.ok(actions.includes(action), action)
  t.end()
})

await t.test('each action says where it came from', (t) => {
  const { grants } = createGrants({ ...rules, fromClaims: ['nonAdmin', 'X_USE'] })(
    ['writers', 'readers'],
    ['WIKI_VIEW', 'X_USE'],
  )
  const fromOf = (action: string) => grants.find((grant) => grant.action === action)?.from
  t.same(fromOf('WIKI_VIEW'), ['anonymous', 'group:writers', 'group:readers', 'claim'])
  t.same(fromOf('SEARCH_VIEW'), ['authenticated'])
  t.same(fromOf('WIKI_DELETE'), ['group:writers'])
  t.same(fromOf('X_USE'), ['claim'])
  t.end()
})

await t.test('a claim adds what its rule lets it, not more by a meta action', (t) => {
  const admin = ['TRAC_ADMIN', 'WIKI_ADMIN', 'PLUGIN_ADMIN', 'PERMISSION_GRANT', 'PERMISSION_X']
  const cases: readonly (readonly [
    PermissionRules['fromClaims'],
    readonly string[],
    readonly string[],
  ])[] = [
    ['nonAdmin', [...admin, 'WIKI_DELETE', 'X_USE'], ['WIKI_DELETE']],
    ['nonAdmin', ['PROJECT_LEAD', 'ADMIN', 'X_ADMINS', 'constructor', 'TOSTRING'], []],
    [
      ['nonAdmin', 'X_USE'],
      [...admin, 'TICKET_MODIFY', 'X_USE', 'Y_USE'],
      ['TICKET_APPEND', 'TICKET_CHGPROP', 'TICKET_MODIFY', 'X_USE'],
    ],
    ['none', [...admin, 'WIKI_DELETE'], []],
    [['WIKI_DELETE'], ['WIKI_DELETE', 'WIKI_RENAME', 'TRAC_ADMIN'], ['WIKI_DELETE']],
    ['all', ['PLUGIN_ADMIN', 'X_USE'], ['PLUGIN_ADMIN', 'X_USE']],
  ]
  for (const [fromClaims, claimed, expected] of cases) {
    const base = new Set(actionsOf([]))
    const added = actionsOf([], claimed, { fromClaims }).filter((name) => !base.has(name))
    t.same(added.toSorted(), expected.toSorted(), `${String(fromClaims)} ${claimed.join()}`)
  }
  const { leftOut } = createGrants(rules)([], ['WIKI_VIEW', 'X_USE', 'TRAC_ADMIN', 'no action'])
  t.same(leftOut, ['X_USE', 'TRAC_ADMIN'])
  t.ok(actionsOf([], ['TRAC_ADMIN'], { fromClaims: 'all' }).includes('WIKI_DELETE'))
  t.ok(actionsOf([], ['WIKI_ADMIN'], { fromClaims: ['WIKI_ADMIN'] }).includes('WIKI_DELETE'))
  t.end()
})

await t.test('what is no action grants nothing', (t) => {
  for (const name of [
    '',
    'wiki_delete',
    'WIKI_DELETE ',
    'WIKI_DELETE,X',
    '_X',
    '1X',
    'WIKI-X',
    'Ä',
  ]) {
    t.same(actionsOf([], [name], { fromClaims: 'all' }), ['SEARCH_VIEW', 'WIKI_VIEW'], name)
  }
  t.end()
})
