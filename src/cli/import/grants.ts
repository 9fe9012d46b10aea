/** Trac's permission table as groups of a provider: nested groups are written out, people with rights of their own are found. */
import { actionPattern } from '../../trac/permissions.js'
import { groupPattern } from '../../config/kinds/names.js'
import type { Grant } from './csv.js'
import { inOrder } from './facts.js'
import type { Left } from './facts.js'

/** A group of Trac's table. */
export interface Group {
  readonly name: string
  /** What it may do, groups that it is in included. */
  readonly actions: readonly string[]
  /** Who is in it, as the table says: people, and other groups. */
  readonly members: readonly string[]
  /** Groups that it is in. */
  readonly through: readonly string[]
}

/** Somebody who has rights that no group gives. */
export interface Person {
  readonly name: string
  readonly actions: readonly string[]
  readonly groups: readonly string[]
}

/** The table, sorted out. */
export interface Sorted {
  readonly groups: readonly Group[]
  readonly anonymous: readonly string[]
  readonly authenticated: readonly string[]
  /** People with permissions of their own; those who are only in groups stand there as members. */
  readonly people: readonly Person[]
  readonly left: readonly Left[]
}

/** Whether Trac takes it for a permission; everything else is a group (`str.isupper`). */
const isAction = (text: string): boolean =>
  text === text.toUpperCase() && text !== text.toLowerCase()

const everybody = ['anonymous', 'authenticated']
const canBeAction = new RegExp(actionPattern, 'u')
const canBeGroup = new RegExp(groupPattern, 'u')

const sorted = (names: Iterable<string>): readonly string[] => [...new Set(names)].toSorted(inOrder)

/** All that a subject has, as Trac's own store finds it: groups of groups too, in circles as well. */
function closureOf(subject: string, rows: ReadonlyMap<string, readonly string[]>) {
  const subjects = new Set([subject])
  const actions = new Set<string>()
  for (const one of subjects) {
    for (const action of rows.get(one) ?? []) {
      if (isAction(action)) actions.add(action)
      else subjects.add(action)
    }
  }
  subjects.delete(subject)
  return { actions: sorted(actions), groups: sorted(subjects) }
}

function byFirst(grants: readonly Grant[], key: 0 | 1): ReadonlyMap<string, readonly string[]> {
  const map = new Map<string, string[]>()
  for (const grant of grants) {
    const one = map.get(grant[key])
    if (one === undefined) map.set(grant[key], [grant[key === 0 ? 1 : 0]])
    else one.push(grant[key === 0 ? 1 : 0])
  }
  return map
}

/** Permissions and groups that `gateway.yaml` can't name. */
function judge(grants: readonly Grant[]): {
  readonly good: readonly Grant[]
  readonly left: readonly Left[]
} {
  const left: Left[] = []
  const good = grants.filter(([subject, action]) => {
    const isGood = isAction(action)
      ? canBeAction.test(action)
      : canBeGroup.test(action) && action.length <= 255
    if (!isGood) {
      const kind = isAction(action) ? 'permission' : 'group'
      left.push({
        what: `${JSON.stringify(subject)} has ${JSON.stringify(action)}`,
        why: `gateway.yaml can't name such a ${kind}`,
      })
    }
    return isGood
  })
  return { good, left }
}

/** Sorts out the table. */
export function sortGrants(grants: readonly Grant[]): Sorted {
  const { good, left } = judge(grants)
  const rows = byFirst(good, 0)
  const holders = byFirst(good, 1)
  const names = sorted([...holders.keys()].filter((name) => !isAction(name)))
  const groups = names
    .filter((name) => !everybody.includes(name))
    .map((name): Group => {
      const { actions, groups: through } = closureOf(name, rows)
      return { name, actions, members: sorted(holders.get(name) ?? []), through }
    })
  const isGroup = new Set([...names, ...everybody])
  const people = sorted(rows.keys())
    .filter((name) => !isGroup.has(name))
    .map((name): Person => {
      const own = rows.get(name) ?? []
      return {
        name,
        actions: sorted(own.filter(isAction)),
        groups: sorted(own.filter((one) => !isAction(one))),
      }
    })
    .filter(({ actions }) => actions.length > 0)
  return {
    groups,
    anonymous: closureOf('anonymous', rows).actions,
    authenticated: closureOf('authenticated', rows).actions,
    people,
    left,
  }
}
