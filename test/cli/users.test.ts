/** `trac-gateway users` makes people of a pool known to Trac by the names that they will have, and changes nobody who is known. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { callCommand } from '../fixtures/call.js'
import { importEnv } from '../fixtures/imported.js'
import { runProgram } from '../fixtures/program.js'
import { t } from '../fixtures/tap.js'
import { askPython, copyEnvironment } from '../fixtures/tracs.js'

const folder = t.testdir({})
const fileOf = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const configuration = (username: string) => `
server: { publicUrl: https://trac.example.edu, trustedProxies: [10.0.0.0/8] }
identity:
  cognito: { region: us-east-2, userPoolId: us-east-2_Example, domain: learntrac }
  clientId: client
  username: ${username}
session: { secrets: [{ fromEnv: TRAC_GATEWAY_SESSION_SECRET }] }
upstreams: { trac: { url: http://127.0.0.1:8001, signingKeys: [{ id: k1, secret: { fromEnv: TRAC_GATEWAY_SIGNING_SECRET } }] } }
permissions: { groups: { admins: [TRAC_ADMIN] } }
`
const byAddress = fileOf(
  'by-address.yaml',
  configuration('{ emailLocalPart: example.edu, case: lower, aliases: { "sub-4": carl } }'),
)
const byClaim = fileOf('by-claim.yaml', configuration('{}'))

/** As Cognito's ListUsers has somebody (`aws cognito-idp list-users`). */
const account = (sub: string, attributes: Readonly<Record<string, string>>, enabled = true) => ({
  Username: sub,
  Attributes: Object.entries({ sub, ...attributes }).map(([Name, Value]) => ({ Name, Value })),
  UserCreateDate: '2026-01-05T10:00:00+00:00',
  Enabled: enabled,
  UserStatus: 'CONFIRMED',
})
const proven = (email: string) => ({ email, email_verified: 'true' })
const pool = {
  Users: [
    account('sub-1', { ...proven('Ines@example.edu'), name: 'Inés "I" Instructor' }),
    account('sub-2', { email: 'mal@example.edu', email_verified: 'false' }),
    account('sub-3', proven('gone@example.edu'), false),
    account('sub-4', { ...proven('carl.old@example.org'), name: "Carl d'Arc" }),
    account('sub-5', proven('twin@example.edu')),
    account('sub-6', proven('TWIN@example.edu')),
    account('sub-7', proven('admins@example.edu')),
  ],
}
const list = fileOf('users.json', JSON.stringify(pool))

await t.test('lines for trac-admin have the names of a sign-in', async (t) => {
  const said = await callCommand('users', ['--config', byAddress, list], importEnv)
  t.equal(
    said.out,
    [
      `trac-admin "$TRAC_ENV" session add ines 'Inés "I" Instructor' Ines@example.edu`,
      `trac-admin "$TRAC_ENV" session add carl 'Carl d'\\''Arc' carl.old@example.org`,
      '',
    ].join('\n'),
  )
  t.match(said.err, /left out sub-2: ERR_NAME_REFUSED/)
  t.match(said.err, /left out sub-5: sub-5 and sub-6 come out at one name, twin/)
  t.match(said.err, /left out sub-7: ERR_NAME_REFUSED: The user name is a group/)
  t.notMatch(said.err, /sub-3/, 'a disabled account is nobody')
  t.equal(said.code, 1, 'since somebody was left out')
})

await t.test('CSV is read by the names of claims, from standard input too', async (t) => {
  const csv = [
    'sub,cognito:username,email,email_verified,name',
    'a1,ines,ines@example.edu,true,"Ines, I."',
    'a2,mal,mal@example.edu,false,',
    'a3,x:0,,,',
    ',nobody,,,',
    '',
  ].join('\n')
  const args = ['users', '--config', byClaim, '--json']
  const { code, out } = await runProgram(args, { input: csv, env: importEnv })
  t.match(JSON.parse(out), {
    users: [
      { user: 'ines', fullName: 'Ines, I.', email: 'ines@example.edu' },
      { user: 'mal', fullName: '', email: '' },
      { user: 'x:0' },
    ],
    left: [{ account: 'row 5', why: 'it has no sub' }],
  })
  t.equal(code, 1)
  const lines = await callCommand('users', ['--config', byClaim, fileOf('p.csv', csv)], importEnv)
  t.match(lines.out, `session add mal\n`, 'no address that is not verified')
  t.match(lines.out, 'session add x:0:1\n')
})

await t.test('what can’t be read is said, with what was wanted', async (t) => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['empty', '', /found nothing; wanted/],
    ['broken.json', '{"Users": [', /no JSON; wanted what "aws cognito-idp list-users/],
    ['other.json', '{"Groups": []}', /no list of Users/],
    ['bad.json', '[{"Username": 1}]', /without Username or Attributes \(number 1\)/],
    ['bad.csv', 'name,email\nx,y', /no column sub/],
    ['quote.csv', 'sub,name\n1,"x', /line 2: found a quote that is never closed/],
  ]
  for (const [name, text, words] of cases) {
    const args = ['--config', byClaim, fileOf(name, text)]
    t.match(await callCommand('users', args, importEnv), { code: 1, out: '', err: words }, name)
  }
  const missing = await callCommand('users', ['--config', byClaim, '/nowhere'], importEnv)
  t.match(missing, { code: 1, err: /\/nowhere can't be read \(ENOENT\)/ })
  const foreign = ['--config', byClaim, '--issuer', 'https://other.example', list]
  await t.rejects(callCommand('users', foreign, importEnv), /wanted https:\/\/cognito-idp/)
})

for (const version of ['1.6', '1.4'] as const) {
  await t.test(`Trac ${version} knows them, and keeps whom it knew`, async (t) => {
    const { environment, python } = await copyEnvironment(t, version)
    const args = ['--config', byAddress, '--env', environment, '--python', python, list]
    t.match(await callCommand('users', args, importEnv), { out: 'added 2, known before 0\n' })
    const changed = { Users: [account('sub-1', { ...proven('ines@example.edu'), name: 'Other' })] }
    const more = fileOf('more.json', JSON.stringify(changed))
    const again = await callCommand('users', [...args.slice(0, -1), more], importEnv)
    t.match(again, { code: 0, out: 'added 0, known before 1\n', err: '' })
    const known = await askPython(
      python,
      `import json, sys
from trac.env import Environment
print(json.dumps(Environment(sys.argv[1]).get_known_users(as_dict=True)))`,
      environment,
    )
    t.strictSame(known, {
      carl: ["Carl d'Arc", 'carl.old@example.org'],
      ines: ['Inés "I" Instructor', 'Ines@example.edu'],
    })
  })
}
