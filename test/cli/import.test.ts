/** `trac-gateway import` on real Tracs: who may do what stays as it was, and what does not come along is told. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual, promisify } from 'node:util'
import * as fc from 'fast-check'
import { writeGatewayYaml } from '../../src/cli/import/gateway-yaml.js'
import { sortGrants } from '../../src/cli/import/grants.js'
import { sortNames } from '../../src/cli/import/names.js'
import { tracActions } from '../../src/trac/permissions.js'
import { callCommand } from '../fixtures/call.js'
import { loadText } from '../fixtures/config.js'
import { grants, importEnv as env, imported, people, seedGrants } from '../fixtures/imported.js'
import { askPython, copyEnvironment, setIni } from '../fixtures/tracs.js'

const run = promisify(execFile)

/** Prints who decides in an environment, and the rows of its table. */
const decisive = `
import json, sys
from trac.env import Environment
from trac.perm import PermissionSystem
from trac.web.main import RequestDispatcher
env = Environment(sys.argv[1])
name = lambda one: one.__class__.__name__
print(json.dumps({'policies': [name(one) for one in PermissionSystem(env).policies],
                  'authenticators': [name(one) for one in RequestDispatcher(env).authenticators],
                  'rows': env.db_query('SELECT COUNT(*) FROM permission')[0][0]}))
`

/** A plugin of the site that signs people in, and one that knows groups. */
const sitePlugin = `
from trac.core import Component, implements
from trac.perm import IPermissionGroupProvider
from trac.web.api import IAuthenticator

class SiteLogin(Component):
    implements(IAuthenticator)
    def authenticate(self, req):
        return None

class SiteGroups(Component):
    implements(IPermissionGroupProvider)
    def get_permission_groups(self, username):
        return []
`

/** What happens in Trac after the import. */
const later = `
import sys
from trac.env import Environment
env = Environment(sys.argv[1])
env.db_transaction("DELETE FROM permission WHERE username = 'carol' AND action = 'WIKI_DELETE'")
env.db_transaction("INSERT INTO permission VALUES ('erin', 'TRAC_ADMIN')")
print(0)
`

/** An environment before the gateway: its own sign-in, its own policies, LearnTrac's section. */
async function before(t: Test, version: '1.4' | '1.6') {
  const { environment, python } = await copyEnvironment(t, version)
  const set = (section: string, name: string, value: string | undefined) =>
    setIni(environment, section, name, value)
  writeFileSync(join(environment, 'plugins', 'site_login.py'), sitePlugin)
  writeFileSync(join(environment, 'conf', 'authz'), '[*]\n@staff = WIKI_VIEW\n')
  writeFileSync(join(environment, 'conf', 'htpasswd'), 'frank:$apr1$x$y\nalice:$apr1$x$y\n')
  writeFileSync(join(environment, 'conf', 'site.ini'), '[trac]\nignore_auth_case = enabled\n')
  const settings: readonly (readonly [string, string, string | undefined])[] = [
    ['inherit', 'file', 'site.ini'],
    ['trac', 'base_url', 'https://trac.example.edu/projects/demo'],
    [
      'trac',
      'permission_policies',
      'AuthzPolicy, DefaultWikiPolicy, DefaultTicketPolicy, DefaultPermissionPolicy, LegacyAttachmentPolicy',
    ],
    ['trac', 'request_filters', undefined],
    ['trac', 'ignore_auth_case', undefined],
    ['components', 'trac.web.auth.loginmodule', undefined],
    ['components', 'tracopt.perm.authz_policy.*', 'enabled'],
    ['authz_policy', 'authz_file', 'authz'],
    ['ticket', 'restrict_owner', 'true'],
    ['notification', 'smtp_password', 'hunter2'],
    ['account-manager', 'htpasswd_file', 'conf/htpasswd'],
    ['cognito', 'client_id', '1example23456789'],
    ['cognito', 'client_secret', 'hunter3'],
    ['cognito', 'domain', 'https://learntrac-auth/'],
    ['cognito', 'region', 'us-east-1'],
    ['cognito', 'user_pool_id', 'us-east-2_Example'],
    ['cognito', 'token_expiry_buffer', '300'],
    ['cognito', 'jwks_cache_ttl', '3600'],
    ['cognito', 'api_paths', '/api/*, /learning/, ^/grades/.*$, /x?y'],
    ['cognito', 'require_token_for_api', 'true'],
  ]
  for (const one of settings) await set(...one)
  return { environment, python, may: await seedGrants(python, environment) }
}

/** Every file of a folder, with what changes when it is written. */
const filesBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((name) => {
      const { mtimeMs, size } = statSync(join(folder, name))
      return `${name} ${mtimeMs} ${size}`
    })

/** What the gateway lets somebody do who comes with these groups. */
async function granted(file: string, user: string, groups: readonly string[]) {
  const who = user === 'anonymous' ? ['--anonymous'] : ['--user', user]
  const member = groups.flatMap((group) => ['--groups', group])
  const { out } = await callCommand(
    'explain',
    ['--config', file, ...who, ...member, '--json', '/wiki'],
    env,
  )
  const { permissions } = JSON.parse(out) as { permissions: readonly { action: string }[] }
  return permissions.map(({ action }) => action).toSorted()
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) =>
  a < b ? -1 : 1

/** What Trac's store finds for a name: round after round, until nothing is new. */
function storeSays(table: readonly (readonly [string, string])[], name: string): readonly string[] {
  const [subjects, actions] = [new Set([name]), new Set<string>()]
  for (let before = -1; before !== subjects.size + actions.size;) {
    before = subjects.size + actions.size
    for (const [subject, one] of table) {
      if (!subjects.has(subject)) continue
      if (one === one.toUpperCase() && one !== one.toLowerCase()) actions.add(one)
      else subjects.add(one)
    }
  }
  return [...actions].toSorted()
}

/** Trac's own; what plugins add to TRAC_ADMIN is theirs. */
const core = (actions: readonly string[]) => actions.filter((action) => action in tracActions)

for (const version of ['1.6', '1.4'] as const) {
  await t.test(
    `Trac ${version}: the same person may do the same, and check takes the file`,
    async (t) => {
      const { environment, python, may } = await before(t, version)
      const out = join(t.testdir({}), 'moved')
      const ini = readFileSync(join(environment, 'conf', 'trac.ini'))
      const files = filesBelow(environment)
      const one = await imported(['--env', environment, '--python', python], out)
      const file = join(out, 'gateway.yaml')
      t.match(await callCommand('check', ['--config', file], env), {
        code: 0,
        out: /gateway\.yaml: ok/,
      })

      // The way by groups of their own is taken for those who have permissions of their own.
      t.match(one.yaml, '# carol, dora:')
      writeFileSync(file, one.yaml.replaceAll(/^( *)#\| (?=own-\d+:)/gm, '$1'))
      const groupOf = (name: string) =>
        one.yaml
          .split('\n')
          .find((_, i, all) => all[i - 1]?.includes(name) === true && /own-/.test(all[i]!))
      const ownOf = (name: string) => /own-\d+/.exec(groupOf(name) ?? '')?.[0]
      const groupsOf = (name: string) => [
        ...grants.flatMap(([subject, action]) =>
          subject === name && action === action.toLowerCase() ? [action] : [],
        ),
        ...(ownOf(`# ${name}`) === undefined && name !== 'dora'
          ? []
          : [ownOf(name === 'dora' ? 'carol, dora' : `# ${name}`)!]),
      ]
      for (const name of people) {
        t.strictSame(core(await granted(file, name, groupsOf(name))), core(may[name] ?? []), name)
      }
      t.ok((await granted(file, 'bob', ['developers'])).includes('TAGS_MODIFY'), 'a plugin’s too')

      t.match(
        one.groups.find(({ name }) => name === 'developers'),
        {
          actions: ['MILESTONE_ADMIN', 'REPORT_VIEW', 'TAGS_MODIFY', 'WIKI_MODIFY'],
          members: ['bob', 'carol'],
          through: ['chair', 'staff'],
        },
      )
      t.strictSame(
        one.people.map(({ name, actions }) => [name, ...actions]),
        [
          ['alice', 'TRAC_ADMIN'],
          ['carol', 'WIKI_DELETE'],
          ['dora', 'WIKI_DELETE'],
          ['guests', 'LOG_VIEW'],
        ],
      )
      t.match(one.yaml, '# guests (nobody whom Trac knows: perhaps a group without members):')
      t.match(one.yaml, '#| fromClaims: [nonAdmin, LOG_VIEW, TRAC_ADMIN, WIKI_DELETE]')
      for (const line of [
        'publicUrl: https://trac.example.edu/projects/demo',
        'region: us-east-2',
        'userPoolId: us-east-2_Example',
        'domain: learntrac-auth',
        'clientId: "1example23456789"',
        'keys: { maxAge: 3600s }',
        '- { name: api, path: /api/**, access: authenticated }',
        '- { name: api-2, path: /learning/**, access: authenticated }',
        '- { name: api-3, path: /grades/**, access: authenticated }',
        'case: lower',
        '#| emailLocalPart: example.edu',
        '#|   SUB: carol # carol@example.edu',
        '#|   SUB: frank\n',
      ]) {
        t.ok(one.yaml.includes(line), line)
      }
      for (const told of [
        '[cognito] client_secret: is not known here; its value was not read',
        '[cognito] token_expiry_buffer = 300: sessions are renewed at session.renewAt',
        '[cognito] api_paths: /x?y: is no path',
        '[cognito] region = us-east-1: the user pool is in us-east-2',
        'fine-grained rules: AuthzPolicy (authz): they stay in Trac, untouched',
        '[ticket] restrict_owner: ',
        'groups of site_login.SiteGroups: only this component knows who is in them',
      ]) {
        t.ok(one.told.includes(told), `${told} in ${one.told}`)
      }
      t.notMatch(one.textOf('export.json') + one.yaml, /hunter|\$apr1/, 'no secret comes along')
      t.equal(statSync(join(out, 'export.json')).mode & 0o777, 0o600)
      t.match(
        one.textOf('reserve-names.sh'),
        /names reserve -- alice bob carol dora erin frank guests old-hand\n/,
      )
      t.strictSame(filesBelow(environment), files, 'nothing is written in the environment')

      const lines = one.textOf('trac.ini.lines')
      t.match(
        lines,
        'permission_policies = AuthzPolicy, DefaultWikiPolicy, DefaultTicketPolicy, TracGatewayPolicy, LegacyAttachmentPolicy',
      )
      for (const [, section = '', body = ''] of lines.matchAll(/^\[(.*)\]\n((?:(?!\[).*\n)*)/gm)) {
        for (const [, name = '', value = ''] of body.matchAll(/^([\w.]+) = (.*)$/gm)) {
          await setIni(environment, section, name, value)
        }
      }
      t.strictSame(await askPython(python, decisive, environment), {
        policies: [
          'AuthzPolicy',
          'DefaultWikiPolicy',
          'DefaultTicketPolicy',
          'TracGatewayPolicy',
          'LegacyAttachmentPolicy',
        ],
        authenticators: ['TracGateway'],
        rows: grants.length,
      })
      await t.test('an export and trac.ini give the same; later changes are told', async (t) => {
        if (version === '1.4') return
        const csv = join(out, 'grants.csv')
        const console =
          'import sys; from trac.admin.console import run; sys.exit(run(sys.argv[1:]))'
        const admin = (...words: readonly string[]) =>
          run(python, ['-c', console, environment, ...words])
        await admin('permission', 'export', csv)
        writeFileSync(join(environment, 'conf', 'trac.ini'), ini)
        const byFiles = await imported(
          ['--env', environment, '--permissions', csv],
          join(out, 'by-files'),
        )
        t.strictSame(byFiles.groups, one.groups)
        t.strictSame(byFiles.people, one.people)
        // Only Trac itself knows of the site’s own plugin.
        const known = lines.replace('site_login.sitelogin = disabled\n', '')
        t.not(known, lines)
        t.strictSame(byFiles.textOf('trac.ini.lines'), known)

        // Without --python it is that of trac-admin.
        mkdirSync(join(out, 'bin'))
        writeFileSync(join(out, 'bin', 'trac-admin'), `#!${python}\n`)
        const diff = (more: readonly string[] = []) =>
          callCommand('import', ['--env', environment, '--out', out, '--diff', ...more], {
            ...env,
            PATH: `${join(out, 'bin')}:${env.PATH}`,
          })
        t.strictSame(await diff(), { code: 0, out: 'nothing has changed in Trac since\n', err: '' })
        await askPython(python, later, environment)
        await setIni(environment, 'ticket', 'restrict_owner', 'false')
        const changed = await diff()
        t.equal(changed.code, 1)
        t.equal(
          changed.out,
          [
            'new grant  erin: TRAC_ADMIN',
            'gone grant  carol: WIKI_DELETE',
            'changed setting  [ticket] restrict_owner = true → false',
            '',
          ].join('\n'),
        )
        const again = await callCommand(
          'import',
          ['--env', environment, '--python', python, '--out', out],
          env,
        )
        t.match(again, {
          code: 1,
          err: /found .*gateway\.yaml; wanted a folder without it \(--out\)/,
        })
      })
    },
  )
}

await t.test('any table comes out as Trac’s own store reads it, whatever the names', async (t) => {
  const name = fc.constantFrom(
    ...[
      'alice',
      'bob',
      'dev',
      'staff',
      'anonymous',
      'authenticated',
      'a, b',
      '${Home}',
      'no',
      "o'x",
      'Größe',
      '"q"',
      '#x',
      '- x',
      'a: b',
      'own-1',
      '1',
    ],
  )
  const action = fc.constantFrom(...['WIKI_VIEW', 'TRAC_ADMIN', 'TICKET_VIEW', 'TAGS_VIEW', 'X1'])
  const grant = fc.tuple(name, fc.oneof(name, action))
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(grant, { maxLength: 12 }), (table) => {
        const facts = {
          grants: table,
          users: [{ name: 'bob', from: 'file' } as const],
          authors: [],
          settings: {},
        }
        const sorted = sortGrants(table)
        const { text } = writeGatewayYaml(facts, sorted, sortNames(facts, sorted), undefined)
        const { permissions } = loadText(text, { env }).config
        const written = {
          ...permissions.groups,
          anonymous: permissions.anonymous,
          authenticated: permissions.authenticated,
        }
        const groups = new Set(
          table.flatMap(([, one]) =>
            /^[A-Z]/.test(one) && one === one.toUpperCase() ? [] : [one],
          ),
        )
        const everybody = [...groups.add('anonymous').add('authenticated')]
        return isDeepStrictEqual(
          new Map(Object.entries(written).toSorted(byName)),
          new Map(everybody.map((one) => [one, storeSays(table, one)] as const).toSorted(byName)),
        )
      }),
      { seed: 20_261_127, numRuns: 100 },
    ),
  )
})

await t.test(
  'files alone are enough, and what is wrong with one is told with its line',
  async (t) => {
    const folder = t.testdir({
      'grants.csv': 'anonymous,WIKI_VIEW\n"o\'x",WIKI_ADMIN\n"b""q",Böse,X-Y\nX1,TICKET_VIEW\n',
      'bad.csv': 'alice TRAC_ADMIN\n',
      'trac.ini':
        '[inherit]\nfile = other.ini, gone.ini\n[trac]\nbase_url = http://trac.example.edu/\n[components]\nacct_mgr.* = enabled\nldapauth.* = enabled\n',
      'other.ini': '[trac]\npermission_policies = A, B ; c\n[cognito]\n',
      'circle.ini': '[inherit]\nfile = circle.ini\n',
      'bad.ini': '[trac]\nx\n',
      'old.ini':
        '[trac]\nbase_url = https://old.example.edu\n[trac]\nbase_url = https://%(host)s\nhost = new.example.edu\n',
      'moved.ini':
        '[trac]\npermission_policies = AuthzPolicy, TracGatewayPolicy, DefaultPermissionPolicy, LegacyAttachmentPolicy\n',
      'none.ini': '[trac]\npermission_policies = DefaultWikiPolicy, LegacyAttachmentPolicy\n',
      'late.ini': [
        '[trac]',
        'permission_policies = DefaultPermissionPolicy, DefaultWikiPolicy',
        'permission_store = LdapPermissionStore',
        'check_auth_ip = true',
        '[components]',
        'trac_gateway.* = disabled',
        '[extra-permissions]',
        'extra_admin = extra_view',
        '[ticket]',
        'commit_ticket_update_check_perms = true',
        '[account-manager]',
        'htpasswd_file = /nowhere/passwd',
        '[cognito]',
        'jwks_cache_ttl = 5',
        'user_pool_id = what?',
        'require_token_for_api = no',
        'api_paths = /open',
        '',
      ].join('\n'),
      'new.ini': '[trac]\nbase_url = https://%(host)s\n',
      names: "# people\nzoe\ntrac\no'x\nWIKI_VIEW\n",
      passwords: 'yan:x\n',
    })
    const at = (name: string) => join(folder, name)
    const files = [
      '--permissions',
      at('grants.csv'),
      '--trac-ini',
      at('trac.ini'),
      '--users',
      at('names'),
    ]
    const one = await imported([...files, '--htpasswd', at('passwords')], at('out'))
    t.match(await callCommand('check', ['--config', at('out/gateway.yaml')], env), { code: 0 })
    t.match(one.textOf('trac.ini.lines'), 'permission_policies = A, B ; c, TracGatewayPolicy\n')
    t.match(
      one.textOf('trac.ini.lines'),
      'trac.web.auth.loginmodule = disabled\nacct_mgr.web_ui.loginmodule = disabled\nacct_mgr.admin.configurationadminpanel = disabled\n',
    )
    t.match(one.told, '[trac] permission_policies: Python 2.7 and 3 read this option differently')
    t.match(one.told, 'gone.ini: [inherit] file names it, and it is not there')
    t.match(one.told, '[components] ldapauth.*: may sign people in')
    t.match(one.told, '"b\\"q" has "X-Y": gateway.yaml can\'t name such a permission')
    t.match(one.told, 'the user "WIKI_VIEW": such a name is a permission')
    t.match(one.toFill, ['server.publicUrl', 'server.trustedProxies'])
    t.match(one.yaml, 'publicUrl: https://trac.example.edu\n')
    t.match(one.textOf('reserve-names.sh'), `names reserve -- X1 'b"q' 'o'\\''x' yan zoe\n`)

    const ini = (name: string) =>
      imported(['--permissions', at('grants.csv'), '--trac-ini', at(name)], at(`out-${name}`))
    const old = await ini('old.ini')
    t.match(
      old.told,
      'old.ini: only Trac 1.4 on Python 2.7 takes the file: line 3: found [trac] a second',
    )
    t.match(old.yaml, 'publicUrl: https://new.example.edu\n')
    const fresh = await ini('new.ini')
    t.match(fresh.told, 'new.ini: only Trac on Python 3 takes the file: [trac] base_url: found')
    t.match(fresh.toFill, ['server.publicUrl'])

    const placed = async (name: string) => (await ini(name)).textOf('trac.ini.lines').split('\n')[1]
    t.equal(
      await placed('moved.ini'),
      'permission_policies = AuthzPolicy, TracGatewayPolicy, LegacyAttachmentPolicy',
    )
    t.equal(
      await placed('none.ini'),
      'permission_policies = DefaultWikiPolicy, LegacyAttachmentPolicy'.replace(
        'L',
        'TracGatewayPolicy, L',
      ),
    )
    const late = await ini('late.ini')
    t.match(late.told, 'permission_policies: DefaultWikiPolicy: stands after TracGatewayPolicy')
    t.match(late.told, '[components] trac_gateway: switches our plugin off')
    t.match(late.told, '[trac] check_auth_ip: without effect')
    t.match(late.told, 'permission_store LdapPermissionStore: ')
    t.match(late.told, '[extra-permissions] extra_admin: stays in Trac')
    t.match(late.told, '[ticket] commit_ticket_update_check_perms: ')
    t.match(late.told, '[cognito] jwks_cache_ttl = 5: 60s is the nearest')
    t.match(late.told, '[cognito] user_pool_id = what?: has another form')
    t.match(late.yaml, '- { name: api, path: /open/**, access: optional }')
    t.match(
      late.toFill.join(' '),
      'identity.cognito.userPoolId identity.cognito.domain identity.clientId',
    )
    t.match(late.told, 'passwd: [account-manager] names it, and it is not there')

    const plain = await callCommand(
      'import',
      ['--permissions', at('grants.csv'), '--out', at('plain')],
      env,
    )
    t.match(plain, {
      code: 0,
      out: /To fill in, since Trac does not say it\n  - server\.publicUrl\n/,
    })
    t.match(
      plain.out,
      /permission export grants\.csv && trac-admin ENV permission remove '\*' '\*'\n$/,
    )
    t.match(
      readFileSync(at('plain/gateway.yaml'), 'utf8'),
      'issuer: https://idp.example.edu/realms/trac',
    )

    t.notMatch(one.yaml, 'SUB: WIKI_VIEW')
    const many = Object.keys(tracActions).join(',')
    writeFileSync(at('many.csv'), `staff,${many}\neva,staff,${many}\n`)
    await callCommand('import', ['--permissions', at('many.csv'), '--out', at('many')], env)
    const all = readFileSync(at('many/gateway.yaml'), 'utf8')
    t.ok(
      all.split('\n').every((line) => line.length <= 110),
      'long lists are on several lines',
    )
    // All choices of permissions are taken; those of names stand before.
    const start = all.indexOf('permissions:')
    const taken = all.slice(0, start) + all.slice(start).replaceAll(/^( *)#\| /gm, '$1')
    const { permissions } = loadText(taken, { env }).config
    t.match(permissions.fromClaims, ['nonAdmin', ...Object.keys(tracActions).toSorted()])
    t.strictSame(permissions.groups['own-1'], Object.keys(tracActions).toSorted())
    t.strictSame(permissions.groups['staff'], Object.keys(tracActions).toSorted())

    mkdirSync(at('empty'))
    const fails = async (args: readonly string[], told: RegExp) =>
      t.match(await callCommand('import', ['--out', at('none'), ...args], env), {
        code: 1,
        err: told,
      })
    await fails(['--permissions', at('bad.csv')], /bad\.csv, line 1: wanted "name,PERMISSION/)
    await fails(['--permissions', at('nothing')], /nothing can't be read \(ENOENT\)/)
    await fails(
      [...files.slice(0, 2), '--trac-ini', at('bad.ini')],
      /bad\.ini, line 2: found neither/,
    )
    await fails([...files.slice(0, 2), '--trac-ini', at('circle.ini')], /leads in a circle/)
    await fails([...files.slice(0, 2), '--htpasswd', at('names')], /wanted a file of htpasswd/)
    await fails(
      ['--env', at('empty'), '--python', at('no-python')],
      /found no Trac by .*no-python; wanted a Python/,
    )
    await fails(
      [...files.slice(0, 2), '--diff'],
      /export\.json can't be read \(ENOENT\): import first/,
    )
    for (const damaged of ['{}', 'null', '{', '{"version":1,"facts":{"grants":[7]}}']) {
      writeFileSync(at('empty/export.json'), damaged)
      await fails([...files.slice(0, 2), '--out', at('empty'), '--diff'], /not what import wrote/)
    }
    await fails([...files.slice(0, 2), '--out', at('names/x')], /names\/x can't be written \(/)
    await fails(['--env', at('empty'), '--python', 'sh'], /sh: found .*; wanted a Python/)
    writeFileSync(at('latin1.csv'), Buffer.from('b\xf6se,TRAC_ADMIN\n', 'latin1'))
    await fails(
      ['--permissions', at('latin1.csv')],
      /latin1\.csv can't be read \(it is not UTF-8\)/,
    )
    await t.rejects(callCommand('import', []), /wanted --env FOLDER, or --permissions/)
  },
)
