/** The actions that Trac itself knows (1.4 and 1.6); any other is a plugin's, or a slip of the pen. */

const byRealm = {
  BROWSER: ['VIEW'],
  CHANGESET: ['VIEW'],
  CONFIG: ['VIEW'],
  EMAIL: ['VIEW'],
  FILE: ['VIEW'],
  LOG: ['VIEW'],
  MILESTONE: ['ADMIN', 'CREATE', 'DELETE', 'MODIFY', 'VIEW'],
  PERMISSION: ['ADMIN', 'GRANT', 'REVOKE'],
  REPORT: ['ADMIN', 'CREATE', 'DELETE', 'MODIFY', 'SQL_VIEW', 'VIEW'],
  ROADMAP: ['ADMIN', 'VIEW'],
  SEARCH: ['VIEW'],
  TICKET: [
    'ADMIN',
    'APPEND',
    'BATCH_MODIFY',
    'CHGPROP',
    'CREATE',
    'EDIT_CC',
    'EDIT_COMMENT',
    'EDIT_DESCRIPTION',
    'MODIFY',
    'VIEW',
  ],
  TIMELINE: ['VIEW'],
  TRAC: ['ADMIN'],
  VERSIONCONTROL: ['ADMIN'],
  WIKI: ['ADMIN', 'CREATE', 'DELETE', 'MODIFY', 'RENAME', 'VIEW'],
}

/** All 42 of them. */
export const coreActions: ReadonlySet<string> = new Set(
  Object.entries(byRealm).flatMap(([realm, verbs]) => verbs.map((verb) => `${realm}_${verb}`)),
)
