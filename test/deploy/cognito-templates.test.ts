/** What Terraform and CloudFormation would make: their names are the gateway's, and their outputs are lines that it takes. */
import { execFile } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { t } from '../fixtures/tap.js'
import { loadText } from '../fixtures/config.js'
import { root } from '../fixtures/root.js'
import { cacheFolder } from '../../src/demo/trac.js'
import { learnTracGroups } from '../../src/config/topics/permissions.js'

const run = promisify(execFile)
const python = join(cacheFolder(), 'templates/bin')
const folder = `${root}deploy/cognito`
const readText = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8')

type Block = Readonly<Record<string, unknown>>
type Blocks = readonly Readonly<Record<string, Block>>[]

/** Names and texts come in quotes, and a block knows that it is one. */
function plain(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/^"(.*)"$/s, '$1')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '__is_block__' && key !== '__comments__')
      .map(([key, one]) => [key.replace(/^"(.*)"$/, '$1'), plain(one)]),
  )
}

const read =
  'import hcl2,json,sys\nprint(json.dumps([hcl2.load(open(name)) for name in sys.argv[1:]]))'
const names = readdirSync(`${folder}/terraform`).filter((name) => name.endsWith('.tf'))
const { stdout } = await run(`${python}/python`, [
  ...['-c', read],
  ...names.map((name) => `${folder}/terraform/${name}`),
])
const files = plain(JSON.parse(stdout)) as readonly Readonly<Record<string, Blocks>>[]
const blocksOf = (kind: string) => files.flatMap((file) => file[kind] ?? [])
/** Blocks with two labels, by `TYPE.NAME`. */
const declared = (kind: string) =>
  new Map<string, Block>(
    blocksOf(kind).flatMap((block) =>
      Object.entries(block).flatMap(([type, byName]) =>
        Object.entries(byName).map(([name, body]) => [`${type}.${name}`, body as Block] as const),
      ),
    ),
  )
const labelled = (kind: string) => new Map(blocksOf(kind).flatMap((block) => Object.entries(block)))

const resources = declared('resource')
const variables = labelled('variable')
const outputs = labelled('output')
const stack = parse(readText('cloudformation.yaml'), { logLevel: 'silent' }) as {
  readonly Parameters: Readonly<Record<string, { readonly Default?: string }>>
  readonly Resources: Readonly<Record<string, { readonly Properties: Block }>>
  readonly Outputs: Readonly<Record<string, { readonly Value: unknown }>>
}

await t.test('cfn-lint, which knows each property, has nothing to say', async (t) => {
  const { stdout } = await run(`${python}/cfn-lint`, [
    ...['--regions', 'eu-central-1', '--'],
    `${folder}/cloudformation.yaml`,
  ])
  t.equal(stdout.trim(), '')
})

await t.test('what the files of Terraform refer to is declared in them', async (t) => {
  const text = names.map((name) => readText(`terraform/${name}`)).join('\n')
  const data = declared('data')
  for (const [, name = ''] of text.matchAll(/\bvar\.(\w+)/g)) t.ok(variables.has(name), name)
  for (const [, name = ''] of text.matchAll(/\bdata\.(\w+\.\w+)/g)) t.ok(data.has(name), name)
  for (const [, name = ''] of text.matchAll(/(?<![\w."])(aws_\w+\.\w+)(?=[.[])/g)) {
    if (!text.includes(`data.${name}`)) t.ok(resources.has(name), name)
  }
  for (const name of variables.keys())
    t.match(text, new RegExp(`var\\.${name}\\b`), `${name} is used`)
})

await t.test('both make the groups that the gateway’s example has', async (t) => {
  const groups = Object.keys(learnTracGroups).toSorted()
  const { default: made } = variables.get('groups') as { readonly default: Block }
  t.strictSame(Object.keys(made).toSorted(), groups)
  const named = Object.values(stack.Resources).flatMap(
    ({ Properties }) => Properties['GroupName'] ?? [],
  )
  t.strictSame(named.map(String).toSorted(), groups)
  const { Properties } = stack.Resources['Lambda']!
  const environment = JSON.stringify(Properties['Environment'])
  for (const group of groups) t.ok(environment.includes(`\\"${group}\\"`), group)
})

/** Settings of the client that keep somebody out, under the names of both. */
const settings = [
  ['allowed_oauth_flows', 'AllowedOAuthFlows', ['code']],
  ['allowed_oauth_scopes', 'AllowedOAuthScopes', ['openid', 'email', 'profile']],
  ['allowed_oauth_flows_user_pool_client', 'AllowedOAuthFlowsUserPoolClient', true],
  ['generate_secret', 'GenerateSecret', false],
  ['enable_token_revocation', 'EnableTokenRevocation', true],
  ['prevent_user_existence_errors', 'PreventUserExistenceErrors', 'ENABLED'],
  ['explicit_auth_flows', 'ExplicitAuthFlows', ['ALLOW_USER_SRP_AUTH']],
  ['access_token_validity', 'AccessTokenValidity', 60],
  ['id_token_validity', 'IdTokenValidity', 60],
  ['refresh_token_validity', 'RefreshTokenValidity', 7],
  ['read_attributes', 'ReadAttributes', ['email', 'email_verified', 'name']],
  ['write_attributes', 'WriteAttributes', ['email', 'name']],
] as const

await t.test(
  'both make the same client: code, rotation, revocation, our two addresses',
  async (t) => {
    const terraform = resources.get('aws_cognito_user_pool_client.gateway')!
    const formation = stack.Resources['Client']!.Properties
    for (const [one, other, value] of settings) {
      t.strictSame(terraform[one], value, one)
      t.strictSame(formation[other], value, other)
    }
    t.match(terraform['refresh_token_rotation'], [
      { feature: 'ENABLED', retry_grace_period_seconds: 60 },
    ])
    t.match(formation['RefreshTokenRotation'], { Feature: 'ENABLED', RetryGracePeriodSeconds: 60 })
    // The two addresses that the gateway's own guide names.
    t.strictSame(terraform['callback_urls'], ['${var.public_url}/auth/callback'])
    t.strictSame(terraform['logout_urls'], ['${var.public_url}/auth/signed-out'])
    t.strictSame(formation['CallbackURLs'], ['${PublicUrl}/auth/callback'])
    t.strictSame(formation['LogoutURLs'], ['${PublicUrl}/auth/signed-out'])
  },
)

await t.test('both make the same pool: an address counts once it is verified', async (t) => {
  const terraform = resources.get('aws_cognito_user_pool.trac')!
  const formation = stack.Resources['Pool']!.Properties
  t.match(terraform['user_attribute_update_settings'], [
    { attributes_require_verification_before_update: ['email'] },
  ])
  t.match(formation['UserAttributeUpdateSettings'], {
    AttributesRequireVerificationBeforeUpdate: ['email'],
  })
  t.match(terraform, { deletion_protection: 'ACTIVE', auto_verified_attributes: ['email'] })
  t.match(formation, { DeletionProtection: 'ACTIVE', AutoVerifiedAttributes: ['email'] })
  t.match(terraform['username_configuration'], [{ case_sensitive: false }])
  t.match(formation['UsernameConfiguration'], { CaseSensitive: false })
  t.match(terraform['password_policy'], [{ minimum_length: 12 }])
  t.match(formation['Policies'], { PasswordPolicy: { MinimumLength: 12 } })
  t.match(JSON.stringify(terraform['lambda_config']), /pre_token_generation_config/)
  t.match(JSON.stringify(formation['LambdaConfig']), /PreTokenGenerationConfig/)
})

/** `${NAME}` replaced, as both programs do. */
const fill = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\$\{([\w:]+)\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`nothing is known of ${name}`)
    return value
  })

const sample = {
  region: 'eu-central-1',
  pool: 'eu-central-1_AbCdEf123',
  domain: 'example-trac',
  client: '1example23456789',
}

/** The lines of each, for a name by address or by the pool's ids. */
function outputsFor(username: string) {
  const terraform = fill(readText('terraform/gateway.yaml.tftpl'), {
    ...sample,
    username,
    from_claims: 'nonAdmin, LEARNING_PARTICIPATE',
  })
  const [text] = stack.Outputs['GatewayYaml']!.Value as readonly [string]
  const formation = fill(text, {
    'AWS::Region': sample.region,
    Pool: sample.pool,
    Domain: sample.domain,
    Client: sample.client,
    Username: username,
    PluginPermissions: stack.Parameters['PluginPermissions']!.Default!,
  })
  return { terraform, formation }
}

/** What an operator has beside these lines. */
const rest = `
server: { publicUrl: https://trac.example.edu/trac, trustedProxies: [10.0.0.0/8] }
session: { secrets: [{ fromEnv: SESSION }] }
upstreams: { trac: { url: http://127.0.0.1:8001, signingKeys: [{ id: k1, secret: { fromEnv: SIGNING } }] } }
`
const env = {
  SESSION: 'k3Jz0mQ2vT8nR5xW1yB7cL4dF6hG9pSa',
  SIGNING: 'aS9pG6hF4dL7cB1yW5xR8nT2vQ0mJ3zk',
}

await t.test('the outputs of both are the same lines, and the gateway takes them', async (t) => {
  for (const username of ['{}', '{ emailLocalPart: example.edu }']) {
    const { terraform, formation } = outputsFor(username)
    t.equal(terraform, formation)
    const lines = terraform.replace(
      'permissions:\n',
      'permissions:\n  groups: { students: [WIKI_VIEW] }\n',
    )
    const { config } = loadText(lines + rest, { env })
    t.equal(
      config.identity.issuer,
      `https://cognito-idp.${sample.region}.amazonaws.com/${sample.pool}`,
    )
    t.equal(
      config.identity.cognito?.domain,
      `https://${sample.domain}.auth.${sample.region}.amazoncognito.com`,
    )
    t.equal(config.identity.clientId, sample.client)
    t.strictSame(config.permissions.fromClaims, ['nonAdmin', 'LEARNING_PARTICIPATE'])
    t.strictSame(config.identity.claims.permissions, ['trac_permissions'])
    // An hour: the tokens of the client live no longer than the gateway takes.
    t.ok(60 * 60_000 <= config.identity.maxTokenLife)
  }
})

await t.test('the template is filled with what it asks for, and nothing else', async (t) => {
  const asked = [...readText('terraform/gateway.yaml.tftpl').matchAll(/\$\{(\w+)\}/g)].map(
    ([, name]) => name,
  )
  const output = readText('terraform/outputs.tf').split('templatefile(')[1]?.split('})')[0] ?? ''
  const given = [...output.matchAll(/^ {4}(\w+) +=/gm)].map(([, name]) => name)
  t.strictSame(new Set(given), new Set(asked))
  t.strictSame([...outputs.keys()].toSorted(), ['gateway_yaml', 'identity_pool_id', 'issuer'])
})
