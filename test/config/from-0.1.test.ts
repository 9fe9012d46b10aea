/** A gateway.yaml of release 0.1: `check` names each change that concerns it, with the line to write. */
import { t } from '../fixtures/tap.js'
import { loadText, problemsOf } from '../fixtures/config.js'
import { formatProblem } from '../../src/config/problems.js'
import type { ConfigProblems } from '../../src/config/problems.js'

/** As its README had it, with a claim for names of its own. */
const old = `server:
  publicUrl: https://trac.example.edu/trac
  trustedProxies: [10.0.0.0/8]
identity:
  cognito: { region: us-east-2, userPoolId: us-east-2_Example, domain: learntrac-auth }
  clientId: 1example23456789
  claims: { username: ['cognito:username'] }
session:
  secrets: [{ fromFile: /run/secrets/session }]
  revocationFile: revocations
permissions:
  anonymous: [WIKI_VIEW, TICKET_VIEW]
  fromClaims: nonAdmin
upstreams:
  trac: { url: 'http://127.0.0.1:8001', signingKeys: [{ id: k1, secret: { fromEnv: SIGNING } }] }
`
const sources = { files: { '/run/secrets/session': 'Lr0QzJ9vN3mXc7TqB2wEhY5sKf8uGdP1' } }

await t.test('groups that were a default must be written', async (t) => {
  const problems = problemsOf(old, sources)
  t.same(
    problems.map(({ path }) => path),
    ['permissions.groups'],
  )
  const text = formatProblem(problems[0]!)
  t.match(text, /permissions\.groups: found nothing; wanted what each group may do/)
  t.match(text, /\n    students: \[TICKET_CREATE, .*ROADMAP_VIEW\]\n/)
  t.match(text, /\n  fromClaims: \[nonAdmin, LEARNING_PARTICIPATE\]\n$/)
})

await t.test('what changed its meaning is told with the line to write', async (t) => {
  const groups = 'permissions:\n  groups: { admins: [TRAC_ADMIN] }'
  const { warnings, config } = loadText(old.replace('permissions:', groups), sources)
  const wanted = (path: string) => warnings.find((one) => one.path === path)?.wanted ?? ''
  t.match(wanted('identity.claims.username'), 'write "username: cognito:username"')
  t.match(wanted('permissions.fromClaims'), 'write "fromClaims: [nonAdmin, NAME]"')
  t.match(wanted('identity.username.namesFile'), 'write "namesFile: /var/lib/trac-gateway/names"')
  t.equal(config.identity.claims.username, 'cognito:username')
})

await t.test('what no key of the file shows is told once, each with what to write', async (t) => {
  const changes: readonly (readonly [path: string, wanted: string])[] = [
    ['builtinTracRoutes', 'write "builtinTracRoutes: strict" to keep them closed'],
    ['server.publicUrl', 'health checks at "https://trac.example.edu/trac/auth/healthz"'],
    ['upstreams.trac', '"cp deploy/trac/trac_gateway.py ENVIRONMENT/plugins/"'],
    ['permissions.anonymous', 'people set it once more at /prefs'],
  ]
  const groups = 'permissions:\n  groups: { admins: [TRAC_ADMIN] }'
  const told = (text: string) => {
    try {
      return loadText(text, sources).warnings.filter(({ name }) => name === 'release-0.1')
    } catch (error) {
      return (error as ConfigProblems).warnings.filter(({ name }) => name === 'release-0.1')
    }
  }
  for (const text of [old, old.replace('permissions:', groups)]) {
    const notes = told(text)
    t.same(notes.map(({ path }) => path).toSorted(), changes.map(([path]) => path).toSorted())
    for (const [at, wanted] of changes) {
      t.match(notes.find(({ path }) => path === at)?.wanted, wanted, at)
    }
  }
  const kept = told(`${old}builtinTracRoutes: strict\n`)
  t.notOk(kept.some(({ path }) => path === 'builtinTracRoutes'))
  t.same(told(`${old}acknowledge: [release-0.1]\n`), [])
  const mended = old.replace("['cognito:username']", 'cognito:username')
  t.same(told(mended.replace('permissions:', groups)), [], 'nothing is told of a file of 0.2')
})

await t.test('a choice of claims for the name is refused', async (t) => {
  const two = old.replace("['cognito:username']", "[preferred_username, 'cognito:username']")
  const problem = problemsOf(two, sources).find(({ path }) => path === 'identity.claims.username')
  t.match(problem?.wanted, 'one person needs one name; choose')
})
