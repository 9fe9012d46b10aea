/** Trac's permission graph: which actions each action carries, equal in Trac 1.4 and 1.6 (a test asks both). */

const simple: readonly string[] = [
  'BROWSER_VIEW',
  'CHANGESET_VIEW',
  'CONFIG_VIEW',
  'EMAIL_VIEW',
  'FILE_VIEW',
  'LOG_VIEW',
  'MILESTONE_CREATE',
  'MILESTONE_DELETE',
  'MILESTONE_MODIFY',
  'MILESTONE_VIEW',
  'PERMISSION_GRANT',
  'PERMISSION_REVOKE',
  'REPORT_CREATE',
  'REPORT_DELETE',
  'REPORT_MODIFY',
  'REPORT_SQL_VIEW',
  'REPORT_VIEW',
  'ROADMAP_VIEW',
  'SEARCH_VIEW',
  'TICKET_APPEND',
  'TICKET_CHGPROP',
  'TICKET_CREATE',
  'TICKET_EDIT_CC',
  'TICKET_EDIT_COMMENT',
  'TICKET_EDIT_DESCRIPTION',
  'TICKET_VIEW',
  'TIMELINE_VIEW',
  'WIKI_CREATE',
  'WIKI_DELETE',
  'WIKI_MODIFY',
  'WIKI_RENAME',
  'WIKI_VIEW',
]

const meta: Readonly<Record<string, readonly string[]>> = {
  MILESTONE_ADMIN: ['MILESTONE_CREATE', 'MILESTONE_DELETE', 'MILESTONE_MODIFY', 'MILESTONE_VIEW'],
  PERMISSION_ADMIN: ['PERMISSION_GRANT', 'PERMISSION_REVOKE'],
  REPORT_ADMIN: [
    'REPORT_CREATE',
    'REPORT_DELETE',
    'REPORT_MODIFY',
    'REPORT_SQL_VIEW',
    'REPORT_VIEW',
  ],
  ROADMAP_ADMIN: [
    'MILESTONE_CREATE',
    'MILESTONE_DELETE',
    'MILESTONE_MODIFY',
    'MILESTONE_VIEW',
    'ROADMAP_VIEW',
  ],
  TICKET_ADMIN: [
    'TICKET_APPEND',
    'TICKET_BATCH_MODIFY',
    'TICKET_CHGPROP',
    'TICKET_CREATE',
    'TICKET_EDIT_CC',
    'TICKET_EDIT_COMMENT',
    'TICKET_EDIT_DESCRIPTION',
    'TICKET_MODIFY',
    'TICKET_VIEW',
  ],
  TICKET_BATCH_MODIFY: ['TICKET_APPEND', 'TICKET_CHGPROP', 'TICKET_MODIFY'],
  TICKET_MODIFY: ['TICKET_APPEND', 'TICKET_CHGPROP'],
  VERSIONCONTROL_ADMIN: ['BROWSER_VIEW', 'CHANGESET_VIEW', 'FILE_VIEW', 'LOG_VIEW'],
  WIKI_ADMIN: ['WIKI_CREATE', 'WIKI_DELETE', 'WIKI_MODIFY', 'WIKI_RENAME', 'WIKI_VIEW'],
}

const core = [...simple, ...Object.keys(meta)].toSorted()

/**
 * Every action that Trac itself defines, with all the actions it carries: transitively closed, frozen.
 * `TRAC_ADMIN` carries every other one.
 */
export const tracActions: Readonly<Record<string, readonly string[]>> = Object.freeze(
  Object.fromEntries([
    ...simple.map((action) => [action, Object.freeze<string[]>([])] as const),
    ...Object.entries(meta).map(
      ([action, carried]) => [action, Object.freeze([...carried])] as const,
    ),
    ['TRAC_ADMIN', Object.freeze(core)] as const,
  ]),
)

/** The given actions and all that they carry. Names that Trac does not define (plugins' own) are kept. */
export function expandActions(actions: Iterable<string>): Set<string> {
  const expanded = new Set<string>()
  for (const action of actions) {
    expanded.add(action)
    if (Object.hasOwn(tracActions, action)) {
      for (const carried of tracActions[action] ?? []) expanded.add(carried)
    }
  }
  return expanded
}

/** What an action is written like. */
export const actionPattern = '^[A-Z][A-Z0-9_]*$'

const administrative = /^(?:.*_ADMIN|PERMISSION_.*)$/

/** Whether an action is for administrators: it governs a part of Trac, or who may do what. */
export const isAdministrative = (action: string): boolean => administrative.test(action)

/** Stands in a built-in row for every action that lets somebody view something, plugins' own included. */
export const anyView = '*_VIEW'

/** Whether one of these actions lets somebody view something. */
export function mayView(actions: Iterable<string>): boolean {
  for (const action of actions) if (action.endsWith('_VIEW')) return true
  return false
}
