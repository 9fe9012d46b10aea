/** What a combination of groups leads to is remembered, and no combination is taken for another. */
import { array, assert, constantFrom, property } from 'fast-check'
import { t } from '../fixtures/tap.js'
import { createGrants } from '../../src/authorize/grants.js'
import { rememberGrants } from '../../src/authorize/remember-grants.js'

const names = ['a', 'b', 'a","b', 'a,b', '["a"]', '', 'claim', '__proto__']
const groups = Object.fromEntries(names.map((name, i) => [name, [`PLUGIN_${i}`, 'WIKI_ADMIN']]))
const rules = { groups, authenticated: [], anonymous: [], fromClaims: 'all' } as const

await t.test('it is what is worked out anew, in whatever order they come', (t) => {
  const fresh = createGrants(rules)
  const remembered = rememberGrants(fresh)
  const some = array(constantFrom(...names), { maxLength: 4 })
  const actions = array(constantFrom('TICKET_VIEW', 'PLUGIN_9', 'a","b', ''), { maxLength: 3 })
  assert(
    property(some, actions, (own, claimed) => {
      t.same(remembered(own, claimed), fresh(own, claimed))
    }),
  )
  t.equal(remembered(['a'], []), remembered(new Set(['a']), []), 'and worked out once')
  t.not(remembered([], ['a']), remembered(['a'], []))
  t.end()
})

await t.test('what is too long to be anybody else’s is not kept', (t) => {
  const remembered = rememberGrants(createGrants(rules))
  const claimed = Array.from({ length: 100 }, (_, i) => `PLUGIN_NUMBER_${i}`)
  t.not(remembered([], claimed), remembered([], claimed))
  t.end()
})
