/** The keys of `environments`, and what they grant. */
import { entriesOf } from '../draft.js'
import type { Draft } from '../draft.js'
import { list, optional, record, shape, text } from '../key.js'
import type { Resolved } from '../key.js'
import { fromClaims } from '../kinds/from-claims.js'
import { action, groupPattern } from '../kinds/names.js'

const permissions = shape(
  'What is otherwise here than in `permissions`. What stands here replaces what stands there, group by group; what does not stand here is as there.',
  {
    groups: optional(
      record('group', list(action, { description: 'Its actions here; `[]` for none.' }), {
        description:
          'What these groups may do here, in place of what `permissions.groups` gives them. A group of a further issuer is written with its `prefix`.',
        propertyNames: { pattern: groupPattern },
      }),
      'as in `permissions.groups`',
    ),
    authenticated: optional(
      list(action, { description: 'What everybody who is signed in may do here besides.' }),
      'as in `permissions.authenticated`',
    ),
    anonymous: optional(
      list(action, { description: 'What everybody may do here, signed in or not.' }),
      'as in `permissions.anonymous`',
    ),
    fromClaims: optional(fromClaims(), 'as in `permissions.fromClaims`'),
  },
)

const environment = shape('One environment, or all that a pattern names.', {
  title: optional(
    text('What the list of environments calls it.', {
      maxLength: 100,
      pattern: '^[^\\p{C}\\p{Zl}\\p{Zp}]+$',
      wanted: 'one line of text',
      examples: ['Mathematics'],
    }),
    'its name',
  ),
  permissions,
  upstream: text('Which of `upstreams` has it.', {
    default: 'trac',
    wanted: 'a name of upstreams',
  }),
})

/** `environments`. */
export const environments = optional(
  record('name', environment, {
    description:
      'Environments of Trac by the first segment of their path below the base path (`TRAC_ENV_PARENT_DIR`, `tracd -e`). In a name, `*` stands for one or more characters: `*` alone is every environment. A plain name goes before a pattern, and an earlier pattern before a later one. What is not named is 404. Without this key there is one environment, at the base path.',
    propertyNames: { pattern: '^[\\p{L}\\p{N}_*][\\p{L}\\p{N}._*-]{0,63}$' },
    wanted: 'environments by name, such as math: {}',
    examples: [{ math: { title: 'Mathematics' }, 'course-*': {} }],
  }),
  'one environment, at the base path',
)

/** `environments` of the configuration. */
export type EnvironmentsConfig = NonNullable<Resolved<typeof environments>>

/** What the rules of environments look at. */
export interface EnvironmentsPart {
  readonly environments?: EnvironmentsConfig | undefined
}

type Lists = readonly (readonly (string | undefined)[] | undefined)[]

/** The lists of actions that environments give to groups and to everybody. */
export function assignedInEnvironments({ environments: named }: Draft<EnvironmentsPart>): Lists {
  return entriesOf(named).flatMap(([, { permissions: given }]) => {
    const { groups, authenticated, anonymous } = given ?? {}
    return [...entriesOf(groups).map(([, actions]) => actions), authenticated, anonymous]
  })
}

/** The lists of actions that environments grant, those that a claim may name among them. */
export function grantedInEnvironments(draft: Draft<EnvironmentsPart>): Lists {
  const claimed = entriesOf(draft.environments).flatMap(([, { permissions: given }]) => {
    const { fromClaims: names } = given ?? {}
    return typeof names === 'object' ? [names.filter((name) => name !== 'nonAdmin')] : []
  })
  return [...assignedInEnvironments(draft), ...claimed]
}

/** The groups that environments name. */
export function groupsOfEnvironments({
  environments: named,
}: Draft<EnvironmentsPart>): readonly string[] {
  return entriesOf(named).flatMap(([, { permissions: given }]) => Object.keys(given?.groups ?? {}))
}
