/** `permissions`: who may do what in Trac. */
import { isAdministrative } from '../../trac/permissions.js'
import { entriesOf, itemsOf } from '../draft.js'
import type { Draft } from '../draft.js'
import { list, record, shape } from '../key.js'
import type { Resolved } from '../key.js'
import { fromClaims } from '../kinds/from-claims.js'
import { action, groupPattern } from '../kinds/names.js'
import type { Rule, Topic } from '../topic.js'
import { grantedInEnvironments } from './environment-keys.js'
import type { EnvironmentsPart } from './environment-keys.js'

/** What the seed of LearnTrac grants, completed by ROADMAP_VIEW so that Trac's pages work: an example, and no default. */
export const learnTracGroups: Readonly<Record<string, readonly string[]>> = {
  admins: [
    'TRAC_ADMIN',
    'TICKET_ADMIN',
    'MILESTONE_ADMIN',
    'WIKI_ADMIN',
    'PERMISSION_GRANT',
    'PERMISSION_REVOKE',
    'ROADMAP_VIEW',
  ],
  instructors: [
    'TICKET_CREATE',
    'TICKET_MODIFY',
    'TICKET_VIEW',
    'MILESTONE_CREATE',
    'MILESTONE_MODIFY',
    'MILESTONE_VIEW',
    'WIKI_CREATE',
    'WIKI_MODIFY',
    'WIKI_VIEW',
    'CHANGESET_VIEW',
    'TIMELINE_VIEW',
    'SEARCH_VIEW',
    'REPORT_CREATE',
    'REPORT_MODIFY',
    'REPORT_VIEW',
    'ROADMAP_VIEW',
  ],
  students: [
    'TICKET_CREATE',
    'TICKET_VIEW',
    'MILESTONE_VIEW',
    'WIKI_VIEW',
    'CHANGESET_VIEW',
    'TIMELINE_VIEW',
    'SEARCH_VIEW',
    'REPORT_VIEW',
    'ROADMAP_VIEW',
  ],
}

/** The example as lines of gateway.yaml. What 0.1 took by default stands there as it must be written now. */
function learnTracLines(): string {
  const groups = Object.entries(learnTracGroups).map(
    ([group, actions]) => `    ${group}: [${actions.join(', ')}]`,
  )
  const lines = [
    'permissions:',
    '  groups:',
    ...groups,
    '  fromClaims: [nonAdmin, LEARNING_PARTICIPATE]',
  ]
  return lines.join('\n')
}

const permissions = shape(
  'Who may do what in Trac. Actions that contain others count as in Trac: TRAC_ADMIN is everything.',
  {
    groups: record('group', list(action, { description: 'Its actions.' }), {
      description: 'What each group may do. Nothing is granted by default; `{}` says nobody.',
      propertyNames: { pattern: groupPattern },
      missing: `what each group may do; nothing is granted by default, and {} says nobody. LearnTrac’s lines, to paste and change:\n\n${learnTracLines()}\n`,
    }),
    authenticated: list(action, {
      description: 'What everybody who is signed in may do besides.',
      default: [],
    }),
    anonymous: list(action, {
      description: 'What everybody may do, signed in or not.',
      default: [],
    }),
    fromClaims: fromClaims({ default: 'nonAdmin' }),
  },
)

/** `permissions` of the configuration. */
export type PermissionsConfig = Resolved<typeof permissions>

/** What the rules of permissions look at. */
export interface PermissionsPart {
  readonly permissions: PermissionsConfig
}

const warnOfAdministrators: Rule<PermissionsPart> = ({ permissions }, warn) => {
  for (const everybody of ['anonymous', 'authenticated'] as const) {
    for (const [index, name] of itemsOf(permissions?.[everybody])) {
      if (!isAdministrative(name)) continue
      warn(['permissions', everybody, index], `${name} for everybody`, 'it for a group only')
    }
  }
}

const warnOfClaims: Rule<PermissionsPart> = ({ permissions }, warn) => {
  if (permissions?.fromClaims !== 'all') return
  warn(
    ['permissions', 'fromClaims'],
    'all: a claim can make an administrator',
    'nonAdmin, or a list, unless nobody else can write that claim',
  )
}

/** Whether some rule makes somebody TRAC_ADMIN, in one environment at least. */
function hasAdministrator(draft: Draft<PermissionsPart & EnvironmentsPart>): boolean {
  const { permissions, environments } = draft
  const { groups, authenticated, anonymous, fromClaims: claimed } = permissions ?? {}
  const lists = [
    ...entriesOf(groups).map(([, actions]) => actions),
    authenticated,
    anonymous,
    typeof claimed === 'object' ? claimed : [],
    ...grantedInEnvironments(draft),
  ]
  const claimsAll =
    claimed === 'all' ||
    entriesOf(environments).some(([, one]) => one.permissions?.fromClaims === 'all')
  return claimsAll || lists.some((actions) => actions?.includes('TRAC_ADMIN') === true)
}

const warnOfNoAdministrator: Rule<PermissionsPart & EnvironmentsPart> = (draft, warn) => {
  if (draft.permissions?.groups === undefined || hasAdministrator(draft)) return
  const wanted = 'TRAC_ADMIN for a group, such as admins: [TRAC_ADMIN]'
  warn(['permissions', 'groups'], 'nobody who can become TRAC_ADMIN', wanted)
}

/** Release 0.1 let a plugin's permissions through by the same word. */
const warnOfPluginClaims: Rule<PermissionsPart> = ({ permissions }, warn, given) => {
  const path = ['permissions', 'fromClaims']
  if (permissions?.fromClaims !== 'nonAdmin' || !given(path)) return
  warn(
    path,
    'nonAdmin alone: since 0.2 that is Trac’s own permissions, and no plugin’s',
    'write "fromClaims: [nonAdmin, NAME]" for a plugin’s, such as [nonAdmin, LEARNING_PARTICIPATE], or [nonAdmin] for none',
  )
}

/** Who may do what in Trac. */
export const permissionsTopic = {
  keys: { permissions },
  checks: [],
  warnings: {
    'admin-for-everybody': warnOfAdministrators,
    'claims-grant-all': warnOfClaims,
    'no-admin': warnOfNoAdministrator,
    'plugin-claims': warnOfPluginClaims,
  },
} satisfies Topic<{ permissions: typeof permissions }, PermissionsPart & EnvironmentsPart>
