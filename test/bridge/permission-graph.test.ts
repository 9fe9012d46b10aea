/** Our permission graph is Trac's: the same actions, and each carries the same. */
import { t } from '../fixtures/tap.js'
import { expandActions, tracActions } from '../../src/trac/permissions.js'
import { askPython, both, startFixture } from '../fixtures/tracs.js'

/** Prints what this Trac makes of each of the lists of actions, or of each of its own actions. */
const program = `
import json, sys
from trac.env import Environment
from trac.perm import PermissionSystem
system = PermissionSystem(Environment(sys.argv[1]))
if len(sys.argv) > 2:
    print(json.dumps([sorted(system.expand_actions(actions)) for actions in json.loads(sys.argv[2])]))
else:
    print(json.dumps({action: sorted(set(system.expand_actions([action])) - set([action]))
                      for action in system.get_actions()}))`

const lists = [
  [],
  ['TICKET_ADMIN', 'MILESTONE_ADMIN', 'WIKI_ADMIN'],
  ['TICKET_MODIFY', 'WIKI_VIEW', 'LEARNING_PARTICIPATE'],
  ['TICKET_BATCH_MODIFY'],
  ['ROADMAP_ADMIN', 'REPORT_ADMIN', 'VERSIONCONTROL_ADMIN', 'PERMISSION_ADMIN'],
  ['TRAC_ADMIN', 'XML_RPC'],
]

for (const server of both) {
  await t.test(`${server} expands each action as the gateway does`, async (t) => {
    const { python, environment } = await startFixture(t, server)
    const sorted = Object.entries(tracActions).map(([name, carried]) => [name, carried.toSorted()])
    const theirs = await askPython(python, program, environment)
    t.strictSame(theirs, Object.fromEntries(sorted))
    const expanded = await askPython(python, program, environment, JSON.stringify(lists))
    t.strictSame(
      expanded,
      lists.map((list) => [...expandActions(list)].toSorted()),
    )
  })
}

await t.test('the permission graph is closed and frozen', async (t) => {
  for (const [action, carried] of Object.entries(tracActions)) {
    const closed = new Set(carried.flatMap((name) => [name, ...(tracActions[name] ?? [])]))
    closed.delete(action)
    t.strictSame([...closed].toSorted(), carried.toSorted(), action)
    t.ok(Object.isFrozen(carried))
  }
  t.ok(Object.isFrozen(tracActions))
  t.strictSame([...expandActions(['constructor', '__proto__'])], ['constructor', '__proto__'])
})
