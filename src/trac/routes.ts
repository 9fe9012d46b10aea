/** The built-in policy for Trac's own addresses: a coarse floor, Trac judges the rest (deploy/docs/trac.md#permissions). */

import { anyView } from './permissions.js'

/** A row in the words of `gateway.yaml`. */
export interface TracRoute {
  readonly name: string
  readonly path: string
  readonly methods: readonly string[]
  readonly query?: Readonly<Record<string, string | readonly string[] | boolean>>
  readonly anyPermission?: readonly string[]
  readonly allPermissions?: readonly string[]
  /** For who has signed in, or where anonymous visitors may view anything: on a closed site Trac works for nobody. */
  readonly somebody?: true
  /** For nobody. */
  readonly closed?: true
  /** What the path does not stand for. */
  readonly except?: readonly string[]
  /** Static files, the same for everybody, of which no query is read. */
  readonly files?: true
  /** For paths alone that no other row has. */
  readonly unknownOnly?: true
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
const somebody = { somebody: true } as const
const closed = { closed: true } as const
const action = (...values: string[]) => ({ query: { action: values } })

const systemPanels = ['basics', 'logging', 'plugin']

const admins = any(
  'TRAC_ADMIN',
  'TICKET_ADMIN',
  'MILESTONE_ADMIN',
  'PERMISSION_GRANT',
  'PERMISSION_REVOKE',
  'VERSIONCONTROL_ADMIN',
)

/** What one must hold for a new attachment, as Trac's `LegacyAttachmentPolicy` has it. */
const attaching = {
  wiki: 'WIKI_MODIFY',
  ticket: 'TICKET_APPEND',
  milestone: 'MILESTONE_MODIFY',
} as const

/**
 * First match wins. All rows but the closed ones are `optional`, so an anonymous visitor is judged by `permissions.anonymous`.
 * Where Trac accepts a viewer's POST (`action=diff`, `clear`, previews), the row asks only for the view.
 */
export const tracRoutes: readonly TracRoute[] = [
  row('chrome', '/chrome/**', read, { files: true }),
  row('pygments', '/pygments/*', read),
  row('about', '/about', read),
  row('about-trac', '/about_trac', read),
  ...systemPanels.flatMap((panel) => [
    row(`admin-${panel}`, `/admin/general/${panel}`, both, all('TRAC_ADMIN')),
    row(`admin-${panel}-below`, `/admin/general/${panel}/**`, both, all('TRAC_ADMIN')),
  ]),
  row('admin-ticket', '/admin/ticket/**', both, admins),
  row('admin', '/admin/**', both, admins),
  row('newticket', '/newticket', both, all('TICKET_CREATE')),
  row('ticket', '/ticket/*', read, all('TICKET_VIEW')),
  row('ticket-write', '/ticket/*', write, all('TICKET_VIEW')),
  row('batchmodify', '/batchmodify', write, all('TICKET_BATCH_MODIFY')),
  row('query', '/query', both, all('TICKET_VIEW')),
  row('report-new', '/report', read, {
    ...action('new', 'edit', 'copy'),
    ...all('REPORT_VIEW', 'REPORT_CREATE'),
  }),
  row('report-edit', '/report/*', read, {
    ...action('new', 'edit', 'copy'),
    ...all('REPORT_VIEW', 'REPORT_MODIFY'),
  }),
  row('report-delete', '/report/*', read, {
    ...action('delete'),
    ...all('REPORT_VIEW', 'REPORT_DELETE'),
  }),
  row('report-sql', '/report/*', read, {
    query: { format: 'sql' },
    ...all('REPORT_VIEW', 'REPORT_SQL_VIEW'),
  }),
  row('report', '/report/**', both, all('REPORT_VIEW')),
  row('milestone-new', '/milestone', read, {
    ...action('new', 'edit'),
    ...all('MILESTONE_VIEW', 'MILESTONE_CREATE'),
  }),
  row('milestone-edit', '/milestone/**', read, {
    ...action('new', 'edit'),
    ...all('MILESTONE_VIEW'),
    ...any('MILESTONE_MODIFY', 'MILESTONE_CREATE'),
  }),
  row('milestone-delete', '/milestone/**', read, {
    ...action('delete'),
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
    ...action('edit'),
    ...all('WIKI_VIEW'),
    ...any('WIKI_CREATE', 'WIKI_MODIFY'),
  }),
  row('wiki-delete', '/wiki/**', read, { ...action('delete'), ...all('WIKI_VIEW', 'WIKI_DELETE') }),
  row('wiki-rename', '/wiki/**', read, { ...action('rename'), ...all('WIKI_VIEW', 'WIKI_RENAME') }),
  row('wiki-edit-comment', '/wiki/**', read, {
    ...action('edit_comment'),
    ...all('WIKI_VIEW', 'WIKI_ADMIN'),
  }),
  row('wiki', '/wiki/**', both, all('WIKI_VIEW')),
  ...Object.entries(attaching).map(([realm, needed]) =>
    row(`attachment-${realm}-new`, `/attachment/${realm}/**`, read, {
      ...action('new'),
      ...all(`${realm.toUpperCase()}_VIEW`),
      ...any(needed, 'ATTACHMENT_CREATE'),
    }),
  ),
  ...['', 'raw-', 'zip-'].flatMap((kind) => [
    ...Object.keys(attaching).map((realm) =>
      row(
        `${kind}attachment-${realm}`,
        `/${kind}attachment/${realm}/**`,
        both,
        all(`${realm.toUpperCase()}_VIEW`),
      ),
    ),
    row(`${kind}attachment`, `/${kind}attachment/**`, both, somebody),
  ]),
  row('wiki-render', '/wiki_render', write, somebody),
  row('wiki-render-get', '/wiki_render', read, all('TRAC_ADMIN')),
  row('prefs', '/prefs/**', both, somebody),
  row('intertrac', '/intertrac/**', read, somebody),
  ...['rpc', 'xmlrpc', 'jsonrpc'].flatMap((rpc) => [
    row(rpc, `/${rpc}`, both, all('XML_RPC')),
    row(`login-${rpc}`, `/login/${rpc}`, both, all('XML_RPC')),
  ]),
  row('home', '/', read, all('WIKI_VIEW')),
  // Who may have a name here is said by the provider: a plugin that makes accounts must not. A row of one's own opens them.
  ...['register', 'reset_password', 'verify_email'].map((page) =>
    row(page === 'register' ? 'accounts' : `accounts-${page}`, `/${page}/**`, both, closed),
  ),
  row('plugins', '/**', both, {
    ...any(anyView),
    except: ['/', '/auth/**', '/login/**', '/logout/**'],
    unknownOnly: true,
  }),
]

/** What the rows of Trac's own login are called. */
export const tracLoginRoute = 'trac:login'
export const tracLogoutRoute = 'trac:logout'

/** Trac's own login, only with `legacyAuth`: else these addresses are ours. */
export const tracLoginRoutes: readonly TracRoute[] = [
  { name: tracLoginRoute, path: '/login', methods: both },
  { name: tracLogoutRoute, path: '/logout', methods: both },
]

/** What the names of built-in rows begin with, and no others. */
export const builtinPrefix = 'trac:'
/** All built-in rows, where a personal token says what it is for. */
export const builtinRows = 'trac:*'

/** The row for pages of Trac's plugins, which Trac judges by itself; `builtinTracRoutes: strict` leaves it out. */
export const pluginsRow = 'trac:plugins'

/** Paths of Trac whose last part is a name that people choose, which may have a `\`. */
const named =
  /^\/(?:wiki|milestone|(?:raw-|zip-)?attachment|admin\/ticket|browser|file|export|log|changeset)(?:\/|$)/

/** Whether a built-in row takes a `\` in its paths. */
export const takesBackslash = ({ path }: TracRoute): boolean => named.test(path)
