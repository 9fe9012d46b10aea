/** What `import` knows of a Trac: what it reads, and nothing of it is secret. It is kept beside the files that it writes, for `--diff`. */
import type { Grant } from './csv.js'

/** Somebody whom Trac knows. */
export interface TracUser {
  readonly name: string
  readonly email?: string
  /** Where the name was found. */
  readonly from: 'session' | 'passwords' | 'file'
}

/** Values of `trac.ini` by section and option. */
export type Settings = Readonly<Record<string, Readonly<Record<string, string>>>>

/** All of it. */
export interface Facts {
  /** Trac's permission table. */
  readonly grants: readonly Grant[]
  readonly users: readonly TracUser[]
  /** Names that only stand in tickets, pages and attachments. */
  readonly authors: readonly string[]
  readonly settings: Settings
  /** What only Trac itself can tell; undefined if it was not asked. */
  readonly trac?: {
    readonly version: string
    /** Components that can say who somebody is, as `module.Class`. */
    readonly authenticators: readonly string[]
    /** Components that put people into groups, beside Trac's own. */
    readonly groupProviders: readonly string[]
    readonly permissionStore: string
    /** Stores of AccountManager's that could not list their users, as `module.Class (error)`. */
    readonly silentStores: readonly string[]
  }
}

/** Something that does not come along, and what to do about it. */
export interface Left {
  readonly what: string
  readonly why: string
}

/**
 * The options that are read; `*` is every option of a section. What is not listed is never looked at: `trac.ini` has
 * passwords of databases and mail servers.
 */
export const optionsRead: readonly (readonly [section: string, option: string])[] = [
  ...['base_url', 'permission_policies', 'permission_store', 'ignore_auth_case'].map(
    (name) => ['trac', name] as const,
  ),
  ...['check_auth_ip', 'auth_cookie_lifetime', 'auth_cookie_path', 'auth_cookie_domain'].map(
    (name) => ['trac', name] as const,
  ),
  ['components', '*'],
  ...[
    'client_id',
    'domain',
    'region',
    'user_pool_id',
    'token_expiry_buffer',
    'jwks_cache_ttl',
    'api_paths',
    'require_token_for_api',
  ].map((name) => ['cognito', name] as const),
  ['ticket', 'restrict_owner'],
  ['ticket', 'commit_ticket_update_check_perms'],
  ['extra-permissions', '*'],
  ['authz_policy', 'authz_file'],
  ['svn', 'authz_file'],
  ...['password_store', 'htpasswd_file', 'htdigest_file', 'password_file'].map(
    (name) => ['account-manager', name] as const,
  ),
]

/** Sections of which all that is not read is named, without its value. */
export const sectionsNamed = ['cognito'] as const

/** By code points, so that a file is the same on every machine. */
export const inOrder = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
