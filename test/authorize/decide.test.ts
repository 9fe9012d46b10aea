/** The decision: a table of what each access, credential and requirement leads to, and that it is total and pure. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { decide } from '../../src/authorize/decide.js'
import type { Identity, Principal, Via } from '../../src/core/identity.js'
import { noRoute } from '../../src/request/route.js'
import type { Access, Requirement, Route } from '../../src/request/route.js'

interface Who {
  readonly via?: Via
  readonly permissions?: readonly string[]
  readonly groups?: readonly string[]
  readonly scopes?: readonly string[]
}

function identityOf({ via, permissions = [], groups = [], scopes = [] }: Who): Identity {
  const principal: Principal = {
    kind: via === undefined ? 'anonymous' : 'person',
    nameKey: undefined,
    user: via === undefined ? '' : 'sam',
    email: undefined,
    name: undefined,
    issuer: '',
    subject: '',
    clientId: '',
    groups: new Set(groups),
    scopes: new Set(scopes),
    permissions: new Set(permissions),
    grants: [],
    claimed: [],
    leftOut: [],
    identityHeaders: { user: '', perms: '', email: '', name: '' },
  }
  return { principal, via, expiresAt: 0, accessToken: undefined }
}

interface Row {
  readonly access?: Access
  readonly credentials?: readonly Via[]
  readonly require?: Partial<Requirement>
}

function routeOf({ access = 'authenticated', credentials, require }: Row): Route {
  return {
    ...noRoute,
    name: 'row',
    path: '/**',
    methods: undefined,
    upstream: 'trac',
    credentials: new Set(credentials ?? ['bearer', 'session']),
    access,
    require:
      require === undefined
        ? undefined
        : {
            anyPermission: undefined,
            allPermissions: undefined,
            anyGroup: undefined,
            scopes: undefined,
            ...require,
          },
    mode: 'enforce',
    rateLimit: undefined,
    bodyLimit: 0,
    timeouts: {},
    websocket: false,
  }
}

const nobody: Who = {}
const sam: Who = { via: 'session', permissions: ['WIKI_VIEW', 'TICKET_VIEW'], groups: ['students'] }
const client: Who = { via: 'bearer', permissions: ['WIKI_VIEW'], scopes: ['trac/read'] }
const ada: Who = { via: 'session', permissions: ['TRAC_ADMIN'], groups: ['admins'] }

const allow = 'allow'
const cases: readonly (readonly [
  what: string,
  row: Row,
  who: Who,
  result: string,
  missing?: readonly string[],
])[] = [
  ['public lets anybody', { access: 'public' }, nobody, allow],
  [
    'public asks for nothing, whatever else stands there',
    { access: 'public', require: { anyGroup: ['x'] } },
    nobody,
    allow,
  ],
  ['public takes any credential', { access: 'public', credentials: ['bearer'] }, sam, allow],
  ['optional lets anybody', { access: 'optional' }, nobody, allow],
  ['optional lets who signed in', { access: 'optional' }, sam, allow],
  ['authenticated refuses an anonymous visitor', {}, nobody, 'ERR_LOGIN_REQUIRED'],
  ['authenticated lets a session', {}, sam, allow],
  ['authenticated lets a token', {}, client, allow],
  ['deny refuses an anonymous visitor', { access: 'deny' }, nobody, 'ERR_ROUTE_DENIED'],
  ['deny refuses an admin', { access: 'deny' }, ada, 'ERR_ROUTE_DENIED'],
  [
    'a session is no token',
    { credentials: ['bearer'] },
    sam,
    'ERR_CREDENTIAL_NOT_ACCEPTED',
    ['bearer'],
  ],
  [
    'a token is no session',
    { credentials: ['session'] },
    client,
    'ERR_CREDENTIAL_NOT_ACCEPTED',
    ['session'],
  ],
  [
    'optional does not take any credential either',
    { access: 'optional', credentials: ['bearer'] },
    sam,
    'ERR_CREDENTIAL_NOT_ACCEPTED',
    ['bearer'],
  ],
  [
    'anonymous is no wrong credential',
    { access: 'optional', credentials: ['bearer'] },
    nobody,
    allow,
  ],
  [
    'one of any permissions is enough',
    { require: { anyPermission: ['X', 'WIKI_VIEW'] } },
    sam,
    allow,
  ],
  [
    'none of any permissions is not',
    { require: { anyPermission: ['X', 'Y'] } },
    sam,
    'ERR_PERMISSION_REQUIRED',
    ['X', 'Y'],
  ],
  [
    'all permissions must hold',
    { require: { allPermissions: ['WIKI_VIEW', 'TICKET_VIEW'] } },
    sam,
    allow,
  ],
  [
    'what is missing of all is named',
    { require: { allPermissions: ['WIKI_VIEW', 'X'] } },
    sam,
    'ERR_PERMISSION_REQUIRED',
    ['X'],
  ],
  [
    'TRAC_ADMIN holds every permission',
    { require: { anyPermission: ['X'], allPermissions: ['Y', 'Z'] } },
    ada,
    allow,
  ],
  [
    'TRAC_ADMIN is in no group by that',
    { require: { anyGroup: ['students'] } },
    ada,
    'ERR_GROUP_REQUIRED',
    ['students'],
  ],
  [
    'TRAC_ADMIN has no scope by that',
    { require: { scopes: ['trac/read'] } },
    ada,
    'ERR_SCOPE_REQUIRED',
    ['trac/read'],
  ],
  ['one of any groups is enough', { require: { anyGroup: ['admins', 'students'] } }, sam, allow],
  [
    'none of the groups is not',
    { require: { anyGroup: ['admins'] } },
    sam,
    'ERR_GROUP_REQUIRED',
    ['admins'],
  ],
  [
    'a group is not its name with something after it',
    { require: { anyGroup: ['student'] } },
    sam,
    'ERR_GROUP_REQUIRED',
    ['student'],
  ],
  ['scopes must all be there', { require: { scopes: ['trac/read'] } }, client, allow],
  [
    'the missing scope is named',
    { require: { scopes: ['trac/read', 'trac/write'] } },
    client,
    'ERR_SCOPE_REQUIRED',
    ['trac/write'],
  ],
  [
    'all groups of a requirement must hold',
    { require: { anyPermission: ['WIKI_VIEW'], anyGroup: ['admins'] } },
    sam,
    'ERR_GROUP_REQUIRED',
    ['admins'],
  ],
  [
    'permissions are asked before groups and scopes',
    { require: { allPermissions: ['X'], anyGroup: ['y'], scopes: ['z'] } },
    sam,
    'ERR_PERMISSION_REQUIRED',
    ['X'],
  ],
  [
    'an empty list of any permissions holds for nobody',
    { require: { anyPermission: [] } },
    ada,
    'ERR_PERMISSION_REQUIRED',
    [],
  ],
  [
    'an anonymous visitor who misses something may sign in',
    { access: 'optional', require: { allPermissions: ['X'] } },
    nobody,
    'ERR_LOGIN_REQUIRED',
  ],
  [
    'an anonymous visitor has what anonymous is given',
    { access: 'optional', require: { allPermissions: ['WIKI_VIEW'] } },
    { permissions: ['WIKI_VIEW'] },
    allow,
  ],
]

for (const [what, row, who, result, missing = []] of cases) {
  await t.test(what, async (t) => {
    const decision = decide(routeOf(row), identityOf(who))
    if (result === allow) t.strictSame(decision, { allow: true })
    else t.strictSame(decision, { allow: false, code: result, missing })
  })
}

const names = fc.array(fc.constantFrom('A', 'B', 'C', 'TRAC_ADMIN'), { maxLength: 3 })
const some = fc.option(names, { nil: undefined })
const vias = fc.constantFrom<Via | undefined>('bearer', 'session', undefined)
const routes = fc.record({
  access: fc.constantFrom<Access>('public', 'optional', 'authenticated', 'deny'),
  credentials: fc.subarray<Via>(['bearer', 'session']),
  require: fc.record({ anyPermission: some, allPermissions: some, anyGroup: some, scopes: some }),
})
const whos = fc.record({ via: vias, permissions: names, groups: names, scopes: names })

/** The rule once more, in the words of the design. */
function allows(
  row: Required<Row>,
  who: Required<Omit<Who, 'via'>> & { via: Via | undefined },
): boolean {
  if (row.access === 'deny') return false
  if (row.access === 'public') return true
  if (who.via === undefined && row.access === 'authenticated') return false
  if (who.via !== undefined && !row.credentials.includes(who.via)) return false
  const may = (name: string) =>
    who.permissions.includes(name) || who.permissions.includes('TRAC_ADMIN')
  const { anyPermission, allPermissions, anyGroup, scopes } = row.require
  return (
    (anyPermission === undefined || anyPermission.some(may)) &&
    (allPermissions === undefined || allPermissions.every(may)) &&
    (anyGroup === undefined || anyGroup.some((name) => who.groups.includes(name))) &&
    (scopes === undefined || scopes.every((name) => who.scopes.includes(name)))
  )
}

await t.test('it is total, pure, and lets in exactly whom the rule lets in', async (t) => {
  let allowed = 0
  fc.assert(
    fc.property(routes, whos, (row, { via, ...rest }) => {
      const who: Who = via === undefined ? rest : { ...rest, via }
      const route = Object.freeze(routeOf(row))
      const identity = Object.freeze(identityOf(who))
      const first = decide(route, identity)
      if (first.allow) allowed++
      if (first.allow !== allows(row, { via, ...rest })) throw new Error(JSON.stringify(first))
      if (JSON.stringify(decide(route, identity)) !== JSON.stringify(first))
        throw new Error('impure')
      if (!first.allow && !/^ERR_[A-Z_]+$/.test(first.code)) throw new Error(first.code)
    }),
    { numRuns: 20_000, seed: 7 },
  )
  t.ok(allowed > 1000, `${allowed} were let in`)
})

await t.test('more permissions, groups and scopes never take anything away', async (t) => {
  fc.assert(
    fc.property(routes, whos, names, (row, { via, ...rest }, more) => {
      const withMore = (extra: readonly string[]): Who => {
        const grown = {
          permissions: [...rest.permissions, ...extra],
          groups: [...rest.groups, ...extra],
          scopes: [...rest.scopes, ...extra],
        }
        return via === undefined ? grown : { ...grown, via }
      }
      const route = routeOf(row)
      const before = decide(route, identityOf(withMore([])))
      if (before.allow && !decide(route, identityOf(withMore(more))).allow)
        throw new Error('taken away')
    }),
    { numRuns: 20_000, seed: 8 },
  )
  t.pass()
})
