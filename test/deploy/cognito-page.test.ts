/** The page that makes the user pool by hand: each setting has the templates' value, and says what it protects from. */
import { readFileSync } from 'node:fs'
import { t } from '../fixtures/tap.js'
import type { Choices } from '../fixtures/pool-settings.js'
import { root } from '../fixtures/root.js'
import { labelled, terraformSettings } from '../fixtures/terraform-template.js'

const page = readFileSync(`${root}deploy/docs/guides/cognito.md`, 'utf8')
const byHand = /^## By hand[^]*?(?=^## )/m.exec(page)![0]

const usual: Choices = { plan: 'ESSENTIALS', selfSignUp: false, identityPool: true }
const made = terraformSettings(usual)
const at = (resource: string) => (path: string) => made.get(resource)!.get(path)
const [pool, client, domain, lambda] = [at('Pool'), at('Client'), at('Domain'), at('Lambda')]

const onOff = (isOn: boolean): string => (isOn ? '**on**' : '**off**')
const list = (value: unknown): string => (value as readonly string[]).join(', ')
const address = (value: unknown): string => {
  const [only, ...more] = value as readonly string[]
  if (more.length > 0) throw new Error('more than one address')
  return `\`${only!.replace('<public_url>', 'https://trac.example.edu/trac')}\``
}
/** How the console calls what stands in the template. */
const words: Readonly<Record<string, string>> = {
  ESSENTIALS: 'Essentials',
  OPTIONAL: 'Optional',
  verified_email: 'Email only',
  code: 'Authorization code grant',
  COGNITO: 'Cognito user pool',
  email: 'Email',
}
const word = (value: unknown): string =>
  words[String(value)] ?? `no word for ${JSON.stringify(value)}`
const span = (kind: string): string =>
  `**${String(client(`${kind}_validity`))} ${String(client(`token_validity_units.${kind}`))}**`

const kinds = ['lowercase', 'uppercase', 'numbers', 'symbols']
const required = kinds.filter((kind) => pool(`password_policy.require_${kind}`) !== false)

/** Each setting of the page, as the templates have it. */
const wanted: Readonly<Record<string, string>> = {
  'Application type': client('generate_secret') === false ? '**Single-page application**' : '',
  'Sign-in identifiers': `**${word(pool('username_attributes'))}** alone`,
  'Self-registration': onOff(!pool('admin_create_user_config.allow_admin_create_user_only')),
  'Required attributes':
    pool('schema.required') === true ? `**${String(pool('schema.name'))}**` : '',
  'Return URL': address(client('callback_urls')),
  'Settings, Feature plan': `**${word(pool('user_pool_tier'))}**`,
  'Settings, Deletion protection': onOff(pool('deletion_protection') === 'ACTIVE'),
  'Sign-in, User name case sensitivity': onOff(
    pool('username_configuration.case_sensitive') === true,
  ),
  'Sign-in, Multi-factor authentication': `**${word(pool('mfa_configuration'))}**, ${
    pool('software_token_mfa_configuration.enabled') === true ? 'authenticator apps' : ''
  }`,
  'Sign-in, Password policy, minimum length': `**${String(pool('password_policy.minimum_length'))} characters**`,
  'Sign-in, Password policy, kinds of characters':
    required.length === 0 ? 'none required' : required.join(', '),
  'Sign-in, Password policy, temporary passwords expire in': `**${String(
    pool('password_policy.temporary_password_validity_days'),
  )} days**`,
  'Sign-in, User account recovery': `**${word(
    pool('account_recovery_setting.recovery_mechanism.name'),
  )}**`,
  'Sign-up, Attribute verification, verified by a message': `**${list(
    pool('auto_verified_attributes'),
  )}**`,
  'Sign-up, Attribute verification, keep original value for update': `**${list(
    pool('user_attribute_update_settings.attributes_require_verification_before_update'),
  )}**`,
  'Client secret': client('generate_secret') === false ? '**none**' : '',
  'Authentication flows': `**${list(client('explicit_auth_flows'))}** alone`,
  'Access token, ID token expiration':
    span('access_token') === span('id_token') ? span('id_token') : '',
  'Refresh token expiration': span('refresh_token'),
  'Refresh token rotation': `${onOff(
    client('refresh_token_rotation.feature') === 'ENABLED',
  )}, grace period **${String(client('refresh_token_rotation.retry_grace_period_seconds'))} seconds**`,
  'Token revocation': onOff(client('enable_token_revocation') === true),
  'Prevent user existence errors': onOff(client('prevent_user_existence_errors') === 'ENABLED'),
  'Allowed callback URLs': `${address(client('callback_urls'))}, nothing else`,
  'Allowed sign-out URLs': `${address(client('logout_urls'))}, nothing else`,
  'OAuth grant types': `**${word(client('allowed_oauth_flows'))}** alone, no implicit grant`,
  'OpenID Connect scopes': `**${list(client('allowed_oauth_scopes'))}**, not \`aws.cognito.signin.user.admin\``,
  'Identity providers': `**${word(client('supported_identity_providers'))}** alone`,
  'Attribute permissions': `read: ${list(client('read_attributes'))}; write: ${list(client('write_attributes'))}`,
  'Cognito domain':
    domain('domain') === '<domain_prefix>' ? 'a prefix, such as `example-trac`' : '',
  Trigger: '**Pre token generation trigger**',
  'Event version': `**Basic features + access token customization** (\`${String(
    pool('lambda_config.pre_token_generation_config.lambda_version'),
  )}\`)`,
}

/** The rows of its tables, without their heads. */
const rows = [...byHand.matchAll(/^\| (?<cells>.*) \|$/gm)]
  .map(({ groups }) => groups!['cells']!.split(' | ').map((cell) => cell.trim()))
  .filter(([name]) => name !== 'setting' && !/^-+$/.test(name!))

await t.test('each setting of the page has the value that the templates have', (t) => {
  t.strictSame(Object.fromEntries(rows.map(([name, value]) => [name, value])), wanted)
  t.equal(rows.length, Object.keys(wanted).length, 'each stands there once')
  t.end()
})

await t.test('each says what it protects from', (t) => {
  for (const [name = '', , why = ''] of rows) t.ok(why.length > 5, name)
  t.end()
})

await t.test('the plan Lite is told as the templates make it', (t) => {
  const lite = terraformSettings({ ...usual, plan: 'LITE' })
  const text = /^#### In the plan Lite$[^]*?(?=^###? )/m.exec(byHand)![0].replaceAll('\n', ' ')
  const flows = lite.get('Client')!.get('explicit_auth_flows') as readonly string[]
  t.match(text, `take ${flows.map((flow) => `**${flow}**`).join(' and ')}`)
  t.equal(lite.get('Client')!.get('refresh_token_rotation.feature'), undefined)
  t.match(text, 'leave **Refresh token rotation** off')
  const version = lite.get('Pool')!.get('lambda_config.pre_token_generation_config.lambda_version')
  t.match(text, `then \`${String(version)}\``)
  t.end()
})

await t.test('groups, the Lambda and its settings are those of the templates', (t) => {
  const { default: groups } = labelled('variable').get('groups') as {
    readonly default: Readonly<Record<string, readonly string[]>>
  }
  const names = Object.keys(groups).map((name) => `\`${name}\``)
  t.match(byHand, `Create group: ${names.join(', ')}.`)
  const [, permissions = ''] = /`TRAC_PERMISSIONS` =\s+`(\{.*\})`/.exec(byHand) ?? []
  const claims = Object.entries(groups).map(([group, actions]) => [group, actions.join(',')])
  t.strictSame(JSON.parse(permissions), Object.fromEntries(claims))
  t.match(byHand, `Node.js ${String(lambda('runtime')).replace(/\D/g, '')}.`)
  t.match(byHand, `Timeout: **${String(lambda('timeout'))} seconds**`)
  const name = String(lambda('function_name')).replace('<name>', 'trac')
  t.match(byHand, `Name: \`${name}\``)
  t.equal(lambda('handler'), 'index.handler', 'index.js')
  t.equal(at('Identities')('allow_unauthenticated_identities'), false)
  t.match(byHand, /\*\*No guest\s+access\*\*/)
  t.end()
})
