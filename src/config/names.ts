/** Which user names can be used in Trac, and which groups the configuration names (deploy/docs/guides/permissions.md#names). */
import { tracActions } from '../trac/permissions.js'
import { entriesOf, itemsOf } from './draft.js'
import type { Draft } from './draft.js'
import type { Config } from './schema.js'

/** The longest user name, in characters. */
const maxNameLength = 255

/** Names that mean somebody else in Trac. */
const reservedWords: ReadonlySet<string> = new Set(['anonymous', 'authenticated'])

/** The form in which two names are compared, so that `Alice` and `alice` never are two people. */
export const foldName = (name: string): string => name.toUpperCase().toLowerCase()

/**
 * Why a final user name cannot be used, as words that follow "a name"; undefined when it can.
 * Stops look-alikes, names that header parsers cut or split, and names that Trac takes for a group,
 * an action or everybody. An e-mail address is judged elsewhere: it needs `email_verified`.
 * @param groups the groups of the configuration, folded
 */
export function nameFault(name: string, groups: ReadonlySet<string>): string | undefined {
  if (name === '') return 'that is empty'
  if (Array.from(name).length > maxNameLength) return `of more than ${maxNameLength} characters`
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(name)) return 'with a control or format character'
  if (name.normalize('NFKC') !== name) return 'with letters that only look like others (NFKC)'
  if (name.trim() !== name) return 'with white space at an end'
  if (name.includes(',')) return 'with a comma'
  const folded = foldName(name)
  if (reservedWords.has(folded)) return 'that means somebody else in Trac'
  if (Object.hasOwn(tracActions, name.toUpperCase())) return 'that is a permission of Trac'
  if (groups.has(folded)) return 'that is a group of this configuration'
  return undefined
}

/** Every group that the configuration names anywhere, as it is spelled there. */
export function configuredGroups(config: Draft<Config>): ReadonlySet<string> {
  const { permissions, identity, routes } = config
  const lists = [
    Object.keys(permissions?.groups ?? {}),
    ...itemsOf(identity?.additionalIssuers).map(([, { groups }]) => Object.keys(groups ?? {})),
    ...entriesOf(identity?.machines).map(([, { groups }]) => groups),
    ...itemsOf(routes).map(([, { require }]) => require?.anyGroup),
  ]
  return new Set(lists.flatMap((list) => itemsOf(list).map(([, group]) => group)))
}
