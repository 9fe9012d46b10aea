/** `identity.username`: from the claim to the name in Trac, and the names that nobody can have. */
import { foldName, forbidNames, judgeName, readAliasKey } from '../../../trac/user-names.js'
import type { ForbiddenNames } from '../../../trac/user-names.js'
import { entriesOf, itemsOf } from '../../draft.js'
import type { Draft } from '../../draft.js'
import { choice, fixed, leaf, optional, record, shape, text, value } from '../../key.js'
import { filePath } from '../../kinds/file-path.js'
import type { Resolved } from '../../key.js'
import type { Path } from '../../problems.js'
import type { Rule, Warnings } from '../../topic.js'
import { grantedInEnvironments, groupsOfEnvironments } from '../environment-keys.js'
import type { EnvironmentsPart } from '../environment-keys.js'
import type { PermissionsPart } from '../permissions.js'
import type { RoutesPart } from '../routes.js'
import type { SessionPart } from '../session.js'
import type { AdditionalIssuer } from './additional-issuers.js'
import { usernameClaim } from './claims.js'
import type { Claims } from './claims.js'
import type { MachinesPart } from './machines.js'
import { mainIssuer } from './provider.js'

/** From the claim to the name in Trac. */
export const username = shape('From the claim to the name in Trac.', {
  aliases: record('sub', text('The Trac user name.', { wanted: 'a user name' }), {
    description:
      'Names of single people, by `sub` of the main issuer or by `issuer#sub`, for whoever had a name before. Nobody else can have them.',
    default: {},
    examples: [{ '6f0c2a31-0f5e-4f0e-9f57-0d5e8b6f2c11': 'alice' }],
  }),
  emailLocalPart: leaf<string | false>({
    anyOf: [
      { type: 'boolean', enum: [false] },
      {
        type: 'string',
        pattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)+$',
        wanted: 'a domain such as example.edu, or false',
      },
    ],
    wanted: 'a domain such as example.edu, or false',
    description:
      'A domain: people are named by the local part of their verified address there, and everyone else is refused. It gives readable names where the pool has UUIDs.',
    default: false,
    examples: ['example.edu'],
  }),
  case: choice(
    '`lower` puts names in lower case, and takes ASCII names only. `keep` leaves them, since Trac tells cases apart.',
    ['keep', 'lower'],
    'keep',
  ),
  userinfo: choice(
    'Whether the provider is asked when an access token lacks the claim for the name, so that one person has one name: `auto`, or `never`.',
    ['auto', 'never'],
    'auto',
  ),
  namesFile: optional(
    fixed(
      value(
        filePath,
        'Keeps over a restart whose name is whose: a name belongs to who had it first (one process; with `session.store: redis` it is kept there). Its folder must exist.',
        { needs: 'parent folder' },
      ),
    ),
    'in memory only, or in Redis',
  ),
})

/** What the rules of names look at. */
export interface NamesPart {
  readonly identity: MachinesPart['identity'] & {
    readonly username: Resolved<typeof username>
    readonly claims: Pick<Claims, 'email' | 'username'>
    readonly additionalIssuers: readonly AdditionalIssuer[]
  }
}

type Naming = NamesPart & PermissionsPart & RoutesPart & EnvironmentsPart

type Names = readonly (string | undefined)[] | undefined

function namedGroups(draft: Draft<Naming>): readonly Names[] {
  const { identity, permissions, routes } = draft
  return [
    Object.keys(permissions?.groups ?? {}),
    groupsOfEnvironments(draft),
    ...itemsOf(identity?.additionalIssuers).map(([, { groups }]) => Object.keys(groups ?? {})),
    ...entriesOf(identity?.machines).map(([, { groups }]) => groups),
    ...itemsOf(routes).map(([, { require }]) => require?.anyGroup),
    ...itemsOf(routes).map(([, { webhook }]) => webhook?.groups),
  ]
}

function namedActions(draft: Draft<Naming>): readonly Names[] {
  const { identity, permissions, routes } = draft
  const claimed = permissions?.fromClaims
  const actionsOf = (groups: Draft<AdditionalIssuer['groups']> | undefined) =>
    entriesOf(groups).map(([, actions]) => actions)
  return [
    ...actionsOf(permissions?.groups),
    permissions?.authenticated,
    permissions?.anonymous,
    ...grantedInEnvironments(draft),
    typeof claimed === 'object' ? claimed.filter((name) => name !== 'nonAdmin') : [],
    ...itemsOf(identity?.additionalIssuers).flatMap(([, { groups }]) => actionsOf(groups)),
    ...itemsOf(routes).flatMap(([, { require }]) => [
      require?.anyPermission,
      require?.allPermissions,
    ]),
  ]
}

/** What nobody can be called: every group and action that a configuration names, and Trac's own. */
export function forbiddenNames(config: Draft<Naming>): ForbiddenNames {
  const flat = (lists: readonly Names[]) =>
    lists.flatMap((names) => itemsOf(names).map(([, name]) => name))
  return forbidNames(flat(namedGroups(config)), flat(namedActions(config)))
}

/** The names that the configuration itself gives, with their places and their owners. */
function givenNames({
  identity,
  routes,
}: Draft<NamesPart & RoutesPart>): readonly (readonly [Path, string, string])[] {
  // Several rules may be for one sender.
  const hooks = new Map<string, readonly [Path, string, string]>()
  for (const [index, { webhook }] of itemsOf(routes)) {
    const name = webhook?.username
    if (name === undefined || hooks.has(name)) continue
    hooks.set(name, [['routes', index, 'webhook', 'username'], name, `the webhook ${name}`])
  }
  return [
    ...entriesOf(identity?.username?.aliases).map(
      ([sub, name]) => [['identity', 'username', 'aliases', sub], name, sub] as const,
    ),
    ...entriesOf(identity?.machines).flatMap(([client, { username: name }]) =>
      name === undefined
        ? []
        : [[['identity', 'machines', client, 'username'], name, `the machine ${client}`] as const],
    ),
    ...hooks.values(),
  ]
}

const checkNames: Rule<Naming> = (draft, report) => {
  const forbidden = forbiddenNames(draft)
  const nameCase = draft.identity?.username?.case ?? 'keep'
  const owners = new Map<string, string>()
  for (const [path, name, owner] of givenNames(draft)) {
    const judged = judgeName(name, nameCase, forbidden)
    if ('fault' in judged) report(path, `a name that ${judged.fault}`, 'a name that Trac can use')
    const before = owners.get(foldName(name))
    if (before !== undefined) {
      report(path, `the name of ${before} again`, 'a name of its own, whatever the case')
    }
    owners.set(foldName(name), owner)
  }
}

/** The issuers that an alias can name, the main one first. */
function issuersOf({ identity }: Draft<NamesPart>): readonly string[] {
  const others = itemsOf(identity?.additionalIssuers).map(([, { issuer = '' }]) => issuer)
  return [mainIssuer(identity), ...others]
}

const checkAliases: Rule<NamesPart> = (draft, report) => {
  const aliases = draft.identity?.username?.aliases
  const seen = new Set<string>()
  for (const [key] of entriesOf(aliases)) {
    const path = ['identity', 'username', 'aliases', key]
    const owner = readAliasKey(key, issuersOf(draft))
    if (owner === undefined) {
      const wanted = 'identity.issuer or one of identity.additionalIssuers before the #'
      report(path, 'an issuer that is not configured', wanted)
      continue
    }
    const person = `${owner.issuer}#${owner.subject}`
    if (seen.has(person)) report(path, 'the same person again', 'one name for each person')
    seen.add(person)
  }
}

/** Only the claim `email` can be verified, so no name can be made of an address in another one. */
const checkLocalPart: Rule<NamesPart> = ({ identity }, report) => {
  const [first = 'email'] = identity?.claims?.email ?? ['email']
  if (!identity?.username?.emailLocalPart || first === 'email') return
  report(
    ['identity', 'claims', 'email'],
    `${first} first, while names are made of the address`,
    'email first: email_verified speaks of that claim alone',
  )
}

const warnOfScopes: Rule<NamesPart> = ({ identity }, warn) => {
  if (!identity?.username?.emailLocalPart || identity.scopes?.includes('email')) return
  warn(['identity', 'scopes'], 'no email', 'email, since names are made of the address')
}

/**
 * Whether the names of an issuer's people are their `sub`, so that no two come out at one: by that claim, or by the user
 * name of Cognito, which equals it wherever people have not chosen one.
 */
export function isBySubject({ identity }: IdentityNames, issuer: string): boolean {
  const { emailLocalPart, case: nameCase } = identity.username
  const isMain = issuer === identity.issuer
  const other = identity.additionalIssuers.find((one) => one.issuer === issuer)
  const claim = isMain ? identity.claims.username : other?.claims.username
  if (isMain && emailLocalPart !== false) return false
  const cognito = isMain ? identity.cognito !== undefined : other?.cognito === true
  return claim === 'sub' ? nameCase === 'keep' : cognito && claim === 'cognito:username'
}

/** What {@link isBySubject} looks at. */
interface IdentityNames {
  readonly identity: NamesPart['identity'] & { readonly issuer: string }
}

const namesFile = ['identity', 'username', 'namesFile']

const warnOfUnusedFile: Rule<NamesPart & SessionPart> = ({ identity, session }, warn) => {
  if (session?.store !== 'redis' || identity?.username?.namesFile === undefined) return
  warn(namesFile, 'a file beside Redis', 'no file: Redis keeps the names, and the file is not read')
}

const warnOfMemory: Rule<NamesPart & SessionPart> = ({ identity, session }, warn) => {
  const { namesFile: file, emailLocalPart, case: nameCase } = identity?.username ?? {}
  const claim = usernameClaim(identity?.claims, identity?.cognito !== undefined)
  const isSubject = claim === 'sub' && emailLocalPart === false && nameCase === 'keep'
  if (session?.store !== 'cookie' || isSubject || file !== undefined) return
  warn(
    namesFile,
    'whose name is whose in memory only',
    'a file: write "namesFile: /var/lib/trac-gateway/names" below identity.username; else, after a restart, whoever comes first gets a name that was somebody else’s',
  )
}

/** What names must not be. */
export const nameChecks: readonly Rule<Naming>[] = [checkNames, checkAliases, checkLocalPart]
/** What to think about in names. */
export const nameWarnings = {
  'scope-email': warnOfScopes,
  'names-in-memory': warnOfMemory,
  'names-file-unused': warnOfUnusedFile,
} satisfies Warnings<NamesPart & SessionPart>
