/** A Trac that is set up wrongly serves nothing, and says on the page and in its log what is wrong. */
import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import { writeKeys } from '../../src/demo/trac.js'
import { admin, send } from '../fixtures/signed.js'
import { both, setIni, startFixture, testKey } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

const policies = 'DefaultWikiPolicy, DefaultTicketPolicy, TracGatewayPolicy, LegacyAttachmentPolicy'

const keyFile = (fixture: Fixture): string => join(fixture.environment, 'conf', 'trac_gateway.keys')

/** One thing done wrong, how it is put right, and what the page says in between. */
interface Mistake {
  readonly name: string
  readonly cause: string
  readonly make: (fixture: Fixture) => Promise<unknown>
  readonly undo: (fixture: Fixture) => Promise<unknown>
}

/** What is wrong, the cause that the page tells, a setting with a wrong value, and the right value. */
type IniMistake = readonly [
  name: string,
  cause: string,
  section: string,
  key: string,
  wrong: string,
  right?: string,
]

const iniMistakes: readonly IniMistake[] = [
  [
    'LoginModule left on',
    'trac.web.auth.LoginModule is enabled',
    'components',
    'trac.web.auth.loginmodule',
    'enabled',
    'disabled',
  ],
  [
    'TracGatewayPolicy not listed',
    'TracGatewayPolicy is not in [trac] permission_policies',
    'trac',
    'permission_policies',
    'DefaultWikiPolicy, LegacyAttachmentPolicy',
    policies,
  ],
  [
    'DefaultPermissionPolicy listed',
    'DefaultPermissionPolicy is in [trac] permission_policies',
    'trac',
    'permission_policies',
    `${policies}, DefaultPermissionPolicy`,
    policies,
  ],
  [
    'a policy listed that does not exist',
    'permission_policies is wrong',
    'trac',
    'permission_policies',
    `${policies}, NoSuchPolicy`,
    policies,
  ],
  [
    'the policy disabled',
    'permission_policies is wrong',
    'components',
    'trac_gateway.tracgatewaypolicy',
    'disabled',
  ],
  [
    'no key file at the place named',
    'key_file cannot be read (No such file or directory)',
    'trac_gateway',
    'key_file',
    'elsewhere.keys',
    'trac_gateway.keys',
  ],
  [
    'a folder as key file',
    'key_file cannot be read',
    'trac_gateway',
    'key_file',
    '../conf',
    'trac_gateway.keys',
  ],
  ['another host', 'signed for another Host', 'trac_gateway', 'host', 'elsewhere.example'],
]

function ofIni([name, cause, section, key, wrong, right]: IniMistake): Mistake {
  return {
    name,
    cause,
    make: async ({ environment }) => setIni(environment, section, key, wrong),
    undo: async ({ environment }) => setIni(environment, section, key, right),
  }
}

function keyMistake(name: string, cause: string, text: string): Mistake {
  return {
    name,
    cause,
    make: async (fixture) => writeFile(keyFile(fixture), text),
    undo: async (fixture) => writeKeys(fixture.environment, [testKey]),
  }
}

const secret = testKey.secret

const mistakes: readonly Mistake[] = [
  ...iniMistakes.map(ofIni),
  {
    name: 'the key file gone',
    cause: 'key_file cannot be read (No such file or directory)',
    make: async (fixture) => rm(keyFile(fixture)),
    undo: async (fixture) => writeKeys(fixture.environment, [testKey]),
  },
  {
    name: 'a key file that others may read',
    cause: 'key_file is readable by others',
    make: async (fixture) => chmod(keyFile(fixture), 0o604),
    undo: async (fixture) => chmod(keyFile(fixture), 0o640),
  },
  {
    name: 'a key file that the group may write',
    cause: 'key_file is readable by others or writable by its group',
    make: async (fixture) => chmod(keyFile(fixture), 0o660),
    undo: async (fixture) => chmod(keyFile(fixture), 0o600),
  },
  keyMistake('an empty key file', 'key_file has 0 keys', '# nothing\n\n'),
  keyMistake('a secret that is too short', 'a secret of less than 32 bytes', 'test-1 short\n'),
  keyMistake('a line without a kid', 'a line that is not "kid secret"', `${secret}\n`),
  keyMistake('a bad kid', 'a line that is not "kid secret"', `test.1 ${secret}\n`),
  keyMistake('a secret with a blank', 'a line that is not "kid secret"', `test-1 ${secret} x\n`),
  keyMistake('a kid twice', 'or a kid twice', `test-1 ${secret}\ntest-1 ${secret}\n`),
  keyMistake(
    'three keys',
    'key_file has 3 keys',
    `test-1 ${secret}\ntest-2 ${secret}\ntest-3 ${secret}\n`,
  ),
]

/** As a page shows it. */
const escaped = (text: string): string => text.replace(/"/g, '&#34;')

const targets = ['/wiki/WikiStart', '/chrome/common/css/trac.css', '/prefs', '/no/such/page']

for (const server of both) {
  await t.test(`${server} serves nothing while one thing is set wrongly`, async (t) => {
    const fixture = await startFixture(t, server)
    const log = async (): Promise<string> =>
      readFile(join(fixture.environment, 'log', 'trac.log'), 'utf8')
    for (const { name, cause, make, undo } of mistakes) {
      await make(fixture)
      for (const target of targets) {
        const answer = await send(fixture, { target, from: admin })
        t.equal(answer.status, 403, `${name}: ${target}`)
        t.ok(answer.body.includes(escaped(cause)), `${name}: the page of ${target} says so`)
      }
      t.ok((await log()).includes(cause), `${name}: the log says so`)
      await undo(fixture)
      const healed = await send(fixture, { target: '/wiki/WikiStart', from: admin })
      t.equal(healed.status, 200, `${name}: put right`)
    }
    const words = await log()
    t.notOk(words.includes(secret), 'no secret in the log')
    t.notOk(words.includes(';sig='), 'no signature in the log')
  })

  await t.test(`${server} serves nothing beside another component that tells users`, async (t) => {
    const plugins = {
      'other_login.py': `from trac.web.auth import LoginModule
class OtherLogin(LoginModule):
    pass
`,
      'other_auth.py': `from trac.core import Component, implements
from trac.web.api import IAuthenticator
class Everybody(Component):
    implements(IAuthenticator)
    def authenticate(self, req):
        return 'ada'
`,
    }
    const fixture = await startFixture(t, server, { plugins })
    const { environment } = fixture
    const first = await send(fixture, { target: '/about', from: admin })
    t.equal(first.status, 403)
    t.match(first.body, /other_(?:login\.OtherLogin|auth\.Everybody) is enabled/)
    await setIni(environment, 'components', 'other_auth.everybody', 'disabled')
    const second = await send(fixture, { target: '/about', from: admin })
    t.match(second.body, 'other_login.OtherLogin is enabled')
    t.match(second.body, 'other_login.otherlogin = disabled')
    await setIni(environment, 'components', 'other_login.otherlogin', 'disabled')
    t.equal((await send(fixture, { target: '/about', from: admin })).status, 200)
  })
}
