/** `permissions`: who may do what in Trac. */
import { isAdministrative } from '../../trac/permissions.js'
import { itemsOf } from '../draft.js'
import { keyOf, leaf, list, record, shape } from '../key.js'
import type { Resolved } from '../key.js'
import { action, groupPattern } from '../kinds/names.js'
import type { Rule, Topic } from '../topic.js'

/** What the seed of LearnTrac grants, completed by ROADMAP_VIEW so that Trac's pages work. */
export const defaultGroups: Readonly<Record<string, readonly string[]>> = {
  admins: ['TRAC_ADMIN'],
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

const fromClaims = leaf<'nonAdmin' | 'all' | 'none' | readonly string[]>({
  anyOf: [
    {
      type: 'string',
      enum: ['nonAdmin', 'all', 'none'],
      wanted: 'nonAdmin, all, none, or a list',
    },
    { type: 'array', items: keyOf(action) },
  ],
  wanted: 'nonAdmin, all, none, or a list of permissions',
  description:
    'Which permissions a claim may add: `nonAdmin`, `all`, `none`, or a list. `nonAdmin` leaves out TRAC_ADMIN, *_ADMIN and PERMISSION_*, so that no token makes an administrator.',
  default: 'nonAdmin',
})

const permissions = shape(
  'Who may do what in Trac. Actions that contain others count as in Trac: TRAC_ADMIN is everything.',
  {
    groups: record('group', list(action, { description: 'Its actions.' }), {
      description:
        'What each group may do. Given at all, it takes the place of the whole default, which is LearnTrac’s.',
      default: defaultGroups,
      propertyNames: { pattern: groupPattern },
    }),
    authenticated: list(action, {
      description: 'What everybody who is signed in may do besides.',
      default: [],
    }),
    anonymous: list(action, {
      description: 'What everybody may do, signed in or not.',
      default: [],
    }),
    fromClaims,
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

/** Who may do what in Trac. */
export const permissionsTopic = {
  keys: { permissions },
  checks: [],
  warnings: { 'admin-for-everybody': warnOfAdministrators, 'claims-grant-all': warnOfClaims },
} satisfies Topic<{ permissions: typeof permissions }, PermissionsPart>
