/** The built-in policy for Trac's own addresses: a coarse floor, Trac judges the rest (deploy/docs/trac.md#permissions). */

/** A row in the words of `gateway.yaml`. */
export interface TracRoute {
  readonly name: string
  readonly path: string
  readonly methods: readonly string[]
  readonly query?: Readonly<Record<string, string | readonly string[] | boolean>>
  readonly anyPermission?: readonly string[]
  readonly allPermissions?: readonly string[]
}

const read = ['GET'] as const
const write = ['POST'] as const
const both = ['GET', 'POST'] as const

/** Opens a row: `row('trac:wiki', '/wiki/**', read, { anyPermission: ['WIKI_VIEW'] })`. */
function row(
  name: string,
  path: string,
  methods: readonly string[],
  more: Omit<TracRoute, 'name' | 'path' | 'methods'> = {},
): TracRoute {
  return { name: `trac:${name}`, path, methods, ...more }
}

const any = (...names: string[]) => ({ anyPermission: names })
const all = (...names: string[]) => ({ allPermissions: names })

const systemPanels = ['basics', 'logging', 'plugin']

/**
 * First match wins; all rows are `optional`, so an anonymous visitor is judged by `permissions.anonymous`.
 * Where Trac accepts a viewer's POST (`action=diff`, `clear`, previews), the row asks only for the view.
 */
export const tracRoutes: readonly TracRoute[] = [
  row('chrome', '/chrome/**', read),
  row('pygments', '/pygments/*', read),
  row('about', '/about', read),
  row('about-trac', '/about_trac', read),
  ...systemPanels.flatMap((panel) => [
    row(`admin-${panel}`, `/admin/general/${panel}`, both, all('TRAC_ADMIN')),
    row(`admin-${panel}-below`, `/admin/general/${panel}/**`, both, all('TRAC_ADMIN')),
  ]),
  row(
    'admin',
    '/admin/**',
    both,
    any(
      'TRAC_ADMIN',
      'TICKET_ADMIN',
      'MILESTONE_ADMIN',
      'PERMISSION_GRANT',
      'PERMISSION_REVOKE',
      'VERSIONCONTROL_ADMIN',
    ),
  ),
  row('newticket', '/newticket', both, all('TICKET_CREATE')),
  row('ticket', '/ticket/*', read, all('TICKET_VIEW')),
  row('ticket-write', '/ticket/*', write, all('TICKET_VIEW')),
  row('batchmodify', '/batchmodify', write, all('TICKET_BATCH_MODIFY')),
  row('query', '/query', both, all('TICKET_VIEW')),
  row('report-new', '/report', read, {
    query: { action: 'new' },
    ...all('REPORT_VIEW', 'REPORT_CREATE'),
  }),
  row('report-edit', '/report/*', read, {
    query: { action: ['edit', 'copy'] },
    ...all('REPORT_VIEW', 'REPORT_MODIFY'),
  }),
  row('report-delete', '/report/*', read, {
    query: { action: 'delete' },
    ...all('REPORT_VIEW', 'REPORT_DELETE'),
  }),
  row('report', '/report/**', both, all('REPORT_VIEW')),
  row('milestone-new', '/milestone/**', read, {
    query: { action: 'new' },
    ...all('MILESTONE_VIEW', 'MILESTONE_CREATE'),
  }),
  row('milestone-edit', '/milestone/**', read, {
    query: { action: 'edit' },
    ...all('MILESTONE_VIEW'),
    ...any('MILESTONE_MODIFY', 'MILESTONE_CREATE'),
  }),
  row('milestone-delete', '/milestone/**', read, {
    query: { action: 'delete' },
    ...all('MILESTONE_VIEW', 'MILESTONE_DELETE'),
  }),
  row('milestone', '/milestone/**', read, all('MILESTONE_VIEW')),
  row('milestone-write', '/milestone/**', write, {
    ...all('MILESTONE_VIEW'),
    ...any('MILESTONE_CREATE', 'MILESTONE_MODIFY', 'MILESTONE_DELETE'),
  }),
  row('roadmap', '/roadmap', both, all('ROADMAP_VIEW')),
  row('timeline', '/timeline', both, all('TIMELINE_VIEW')),
  row('search', '/search/**', both, all('SEARCH_VIEW')),
  row('browser', '/browser/**', both, any('BROWSER_VIEW', 'FILE_VIEW')),
  row('export', '/export/**', read, any('BROWSER_VIEW', 'FILE_VIEW')),
  row('file', '/file/**', read, any('BROWSER_VIEW', 'FILE_VIEW')),
  row('changeset', '/changeset/**', both, all('CHANGESET_VIEW')),
  row('log', '/log/**', both, all('LOG_VIEW')),
  row('diff', '/diff', both, any('BROWSER_VIEW', 'CHANGESET_VIEW')),
  row('wiki-edit', '/wiki/**', read, {
    query: { action: 'edit' },
    ...all('WIKI_VIEW'),
    ...any('WIKI_CREATE', 'WIKI_MODIFY'),
  }),
  row('wiki-delete', '/wiki/**', read, {
    query: { action: 'delete' },
    ...all('WIKI_VIEW', 'WIKI_DELETE'),
  }),
  row('wiki-rename', '/wiki/**', read, {
    query: { action: 'rename' },
    ...all('WIKI_VIEW', 'WIKI_RENAME'),
  }),
  row('wiki-edit-comment', '/wiki/**', read, {
    query: { action: 'edit_comment' },
    ...all('WIKI_VIEW', 'WIKI_ADMIN'),
  }),
  row('wiki', '/wiki/**', both, all('WIKI_VIEW')),
  ...['', 'raw-', 'zip-'].flatMap((kind) =>
    ['wiki', 'ticket', 'milestone'].map((realm) =>
      row(
        `${kind}attachment-${realm}`,
        `/${kind}attachment/${realm}/**`,
        both,
        all(`${realm.toUpperCase()}_VIEW`),
      ),
    ),
  ),
  row('attachment', '/attachment/**', both),
  row('raw-attachment', '/raw-attachment/**', both),
  row('zip-attachment', '/zip-attachment/**', both),
  row('wiki-render', '/wiki_render', both),
  row('prefs', '/prefs/**', both),
  row('intertrac', '/intertrac/**', read),
  ...['rpc', 'xmlrpc', 'jsonrpc'].flatMap((rpc) => [
    row(rpc, `/${rpc}`, both, all('XML_RPC')),
    row(`login-${rpc}`, `/login/${rpc}`, both, all('XML_RPC')),
  ]),
  row('home', '/', read, {
    query: { action: false, page: false, id: false },
    ...all('WIKI_VIEW'),
  }),
]
