/** What `environments` may say, what is said of it, and how it is laid over `permissions`. */
import { commonRules, layOver } from '../../src/app/environments.js'
import { loadText, minimal, problemsOf } from '../fixtures/config.js'
import { t } from '../fixtures/tap.js'

const two = minimal.replace('upstreams: {', 'upstreams: { old: { url: http://127.0.0.1:9 },')

const problems = (text: string) =>
  problemsOf(two + text).map(({ path, found }) => `${path}: ${found}`)
const warnings = (text: string) =>
  loadText(two + text).warnings.map(({ path, name, found }) => `${name} ${path}: ${found}`)

await t.test('what can’t be run is a problem, each at its place', async (t) => {
  const cases: readonly (readonly [text: string, problem: RegExp])[] = [
    ['environments: {}', /environments: no environment/],
    ['environments: { auth: {} }', /environments\.auth: auth/],
    ['environments: { a**b: {} }', /a\*\*b/],
    ['environments: { a/b: {} }', /a\/b/],
    ['environments: { math: { upstream: odl } }', /environments\.math\.upstream: odl/],
    ['environments: { math: { permissions: { groups: { a: [wiki] } } } }', /wiki/],
    ['environments: { math: { groups: {} } }', /groups/],
    [
      'environments: { math: { upstream: old } }\nroutes: [{ name: a, path: /x, upstream: old }]',
      /routes\[0\]\.upstream: old/,
    ],
  ]
  for (const [text, problem] of cases) t.match(problems(`${text}\n`).join('\n'), problem, text)
  const mixed = two.replace('http://127.0.0.1:9', 'http://127.0.0.1:9, legacyAuth: true')
  const [told] = problemsOf(`${mixed}environments: { math: { upstream: old } }\n`)
  t.match(told?.found, 'whose legacyAuth is not that of trac')
})

await t.test('what may be meant otherwise is a warning with a name', async (t) => {
  const cases: readonly (readonly [text: string, warning: string])[] = [
    ['environments: { "*": { upstream: old } }', 'environment-pattern environments["*"]: *'],
    [
      'environments: { m: { upstream: old, permissions: { anonymous: [WIKI_ADMIN] } } }',
      'environment-admin-for-everybody environments.m.permissions.anonymous[0]: WIKI_ADMIN',
    ],
    [
      'environments: { m: { permissions: { fromClaims: all } } }',
      'environment-claims-grant-all environments.m.permissions.fromClaims: all',
    ],
    [
      'environments: { m: {} }\nroutes: [{ name: a, path: /wiki/** }]',
      'route-environment routes[0].path: /wiki/**, which is in no environment',
    ],
    [
      'environments: { m: {} }\nroutes: [{ name: a, path: /m/ticket/7 }]',
      'route-single-object routes[0].path: a rule for /m/ticket/7 alone',
    ],
  ]
  for (const [text, warning] of cases) {
    const found = warnings(`${text}\n`)
    t.ok(
      found.some((one) => one.startsWith(warning)),
      `${warning} in ${found.join('; ')}`,
    )
  }
  const fine = warnings(
    'environments: { m: { upstream: old }, n: {} }\nroutes: [{ name: a, path: /m/**, access: deny }, { name: b, path: /*/blog }]\n',
  )
  t.notMatch(fine.join(' '), /route-environment|unused-upstream/)
})

await t.test(
  'an administrator of one environment is one, and its groups are nobody’s name',
  async (t) => {
    const text = minimal.replace('admins: [TRAC_ADMIN]', 'admins: [WIKI_VIEW]')
    const names = (more: string) => loadText(text + more).warnings.map(({ name }) => name)
    t.ok(names('').includes('no-admin'))
    const one = 'environments: { math: { permissions: { groups: { tutors: [TRAC_ADMIN] } } } }\n'
    t.notOk(names(one).includes('no-admin'))
    const alias = one.concat('identity: { username: { aliases: { "1": tutors } } }\n')
    const merged = (text + alias)
      .replace(/^identity: .*\n/m, '')
      .replace(
        'identity: { username',
        'identity: { issuer: https://idp.example.edu/realms/trac, clientId: trac, username',
      )
    t.match(problemsOf(merged)[0]?.path, 'aliases')
  },
)

await t.test('an environment replaces group by group, and adds nothing up', async (t) => {
  const common = {
    groups: { admins: ['TRAC_ADMIN'], students: ['WIKI_VIEW', 'TICKET_VIEW'] },
    authenticated: ['SEARCH_VIEW'],
    anonymous: ['WIKI_VIEW'],
    fromClaims: 'nonAdmin',
  } as const
  const overlay = { groups: { students: ['WIKI_VIEW'], tutors: ['TICKET_ADMIN'] }, anonymous: [] }
  t.same(layOver(common, { ...overlay, authenticated: undefined, fromClaims: undefined }), {
    groups: { admins: ['TRAC_ADMIN'], students: ['WIKI_VIEW'], tutors: ['TICKET_ADMIN'] },
    authenticated: ['SEARCH_VIEW'],
    anonymous: [],
    fromClaims: 'nonAdmin',
  })
})

await t.test('people of a further issuer have their own groups, and no claims', async (t) => {
  const further =
    'additionalIssuers: [{ issuer: https://partner.example, clients: [c], prefix: partner/, groups: { students: [TICKET_VIEW] } }]'
  const { config } = loadText(minimal.replace('clientId: trac', `clientId: trac, ${further}`))
  const rules = commonRules(config)
  t.same({ ...rules.get(config.identity.issuer)!.groups }, { admins: ['TRAC_ADMIN'] })
  const theirs = rules.get('https://partner.example')!
  t.same(theirs.groups, { 'partner/students': ['TICKET_VIEW'] })
  t.equal(theirs.fromClaims, 'none')
})
