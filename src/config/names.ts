/** Names that the configuration gives to groups and actions, none of which can be a user name. */
import { forbidNames } from '../trac/user-names.js'
import type { ForbiddenNames } from '../trac/user-names.js'
import { entriesOf, itemsOf } from './draft.js'
import type { Draft } from './draft.js'
import type { Path } from './problems.js'
import type { Config } from './schema.js'

/** Every group that the configuration names anywhere, as it is spelled there. */
function configuredGroups(config: Draft<Config>): ReadonlySet<string> {
  const { permissions, identity, routes } = config
  const lists = [
    Object.keys(permissions?.groups ?? {}),
    ...itemsOf(identity?.additionalIssuers).map(([, { groups }]) => Object.keys(groups ?? {})),
    ...entriesOf(identity?.machines).map(([, { groups }]) => groups),
    ...itemsOf(routes).map(([, { require }]) => require?.anyGroup),
  ]
  return new Set(lists.flatMap((list) => itemsOf(list).map(([, group]) => group)))
}

/** Every list of actions, with its place. */
export function actionLists(draft: Draft<Config>): [Path, readonly (string | undefined)[]][] {
  const { permissions, identity, routes } = draft
  const claimed = permissions?.fromClaims
  return [
    ...entriesOf(permissions?.groups).map(([name, list]): [Path, typeof list] => [
      ['permissions', 'groups', name],
      list,
    ]),
    [['permissions', 'authenticated'], permissions?.authenticated ?? []],
    [['permissions', 'anonymous'], permissions?.anonymous ?? []],
    [['permissions', 'fromClaims'], typeof claimed === 'object' ? claimed : []],
    ...itemsOf(identity?.additionalIssuers).flatMap(([index, { groups }]) =>
      entriesOf(groups).map(([name, list]): [Path, typeof list] => [
        ['identity', 'additionalIssuers', index, 'groups', name],
        list,
      ]),
    ),
    ...itemsOf(routes).flatMap(
      ([index, { require }]): [Path, readonly (string | undefined)[]][] => [
        [['routes', index, 'require', 'anyPermission'], require?.anyPermission ?? []],
        [['routes', index, 'require', 'allPermissions'], require?.allPermissions ?? []],
      ],
    ),
  ]
}

/** What nobody can be called under a configuration. */
export function forbiddenNames(config: Draft<Config>): ForbiddenNames {
  const actions = actionLists(config).flatMap(([, list]) => itemsOf(list).map(([, name]) => name))
  return forbidNames(configuredGroups(config), actions)
}
