/** What Terraform and CloudFormation would make: their names are the gateway's, and their outputs are lines that it takes. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { t } from '../fixtures/tap.js'
import { formationSettings, stack } from '../fixtures/cloudformation-template.js'
import { loadText } from '../fixtures/config.js'
import { folder, python, readText } from '../fixtures/pool-settings.js'
import type { Block, Choices, Settings } from '../fixtures/pool-settings.js'
import { declared, labelled, names, terraformSettings } from '../fixtures/terraform-template.js'
import { learnTracGroups } from '../../src/config/topics/permissions.js'

const run = promisify(execFile)
const variables = labelled('variable')
const outputs = labelled('output')

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
  const resources = declared('resource')
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
})

const allChoices: readonly Choices[] = (['ESSENTIALS', 'LITE'] as const).flatMap((plan) =>
  [false, true].flatMap((selfSignUp) =>
    [false, true].map((identityPool) => ({ plan, selfSignUp, identityPool })),
  ),
)
const usual: Choices = { plan: 'ESSENTIALS', selfSignUp: false, identityPool: true }

/** What one of them says and the other need not: it is compared below, or is its own way to say the usual. */
const apart: Readonly<Record<string, readonly string[]>> = {
  Pool: [
    // What CloudFormation takes by itself.
    'schema.string_attribute_constraints.min_length',
    'schema.string_attribute_constraints.max_length',
    // The same in two ways.
    'software_token_mfa_configuration.enabled',
    'enabled_mfas',
  ],
  Lambda: [
    // How its source gets there. Another test compares that.
    ...['filename', 'source_code_hash', 'code.zip_file'],
    'environment.variables.TRAC_PERMISSIONS',
  ],
  LambdaRole: ['name', 'managed_policy_arns'],
  IdentityRole: ['name'],
}
const comparable = (settings: Settings) =>
  Object.fromEntries(
    [...settings].map(([name, values]) => [
      name,
      Object.fromEntries([...values].filter(([path]) => apart[name]?.includes(path) !== true)),
    ]),
  )

await t.test('both make the same, whatever is chosen, down to the last setting', async (t) => {
  for (const choices of allChoices) {
    const terraform = comparable(terraformSettings(choices))
    const which = JSON.stringify(choices)
    t.strictSame(comparable(formationSettings(choices)), terraform, which)
    t.equal('Identities' in terraform, choices.identityPool, which)
    t.equal(
      terraform['Pool']!['admin_create_user_config.allow_admin_create_user_only'],
      !choices.selfSignUp,
      which,
    )
  }
})

/** What keeps somebody out, and so must not change unnoticed in both. */
const settings: Readonly<Record<string, Block>> = {
  Pool: {
    deletion_protection: 'ACTIVE',
    username_attributes: ['email'],
    auto_verified_attributes: ['email'],
    'user_attribute_update_settings.attributes_require_verification_before_update': ['email'],
    'username_configuration.case_sensitive': false,
    'schema.name': 'email',
    'schema.required': true,
    'schema.mutable': true,
    mfa_configuration: 'OPTIONAL',
    'account_recovery_setting.recovery_mechanism.name': 'verified_email',
    'password_policy.minimum_length': 12,
    'password_policy.temporary_password_validity_days': 3,
    'lambda_config.pre_token_generation_config.lambda_arn': '<Lambda.arn>',
  },
  Domain: { domain: '<domain_prefix>', user_pool_id: '<Pool>' },
  Client: {
    user_pool_id: '<Pool>',
    generate_secret: false,
    allowed_oauth_flows: ['code'],
    allowed_oauth_flows_user_pool_client: true,
    allowed_oauth_scopes: ['openid', 'email', 'profile'],
    supported_identity_providers: ['COGNITO'],
    // The two addresses that the gateway's own guide names.
    callback_urls: ['<public_url>/auth/callback'],
    logout_urls: ['<public_url>/auth/signed-out'],
    enable_token_revocation: true,
    prevent_user_existence_errors: 'ENABLED',
    access_token_validity: 60,
    id_token_validity: 60,
    refresh_token_validity: 7,
    'token_validity_units.access_token': 'minutes',
    'token_validity_units.id_token': 'minutes',
    'token_validity_units.refresh_token': 'days',
    read_attributes: ['email', 'email_verified', 'name'],
    write_attributes: ['email', 'name'],
  },
  Lambda: { role: '<LambdaRole.arn>', handler: 'index.handler', timeout: 5 },
  LambdaPermission: {
    function_name: '<Lambda>',
    action: 'lambda:InvokeFunction',
    principal: 'cognito-idp.amazonaws.com',
    source_arn: '<Pool.arn>',
  },
  Identities: {
    allow_unauthenticated_identities: false,
    'cognito_identity_providers.client_id': '<Client>',
    'cognito_identity_providers.server_side_token_check': true,
  },
  IdentityRole: {
    'assume_role_policy.statement.principal.federated': 'cognito-identity.amazonaws.com',
    'assume_role_policy.statement.condition.string_equals.cognito-identity.amazonaws.com:aud':
      '<Identities>',
    'assume_role_policy.statement.condition.ForAnyValue:StringLike.cognito-identity.amazonaws.com:amr':
      'authenticated',
  },
}

await t.test('what protects somebody is as the guide says', async (t) => {
  const made = terraformSettings(usual)
  for (const [name, values] of Object.entries(settings)) {
    for (const [path, value] of Object.entries(values))
      t.strictSame(made.get(name)?.get(path), value, `${name}: ${path}`)
  }
  t.equal(made.get('Pool')?.get('software_token_mfa_configuration.enabled'), true)
  t.strictSame(formationSettings(usual).get('Pool')?.get('enabled_mfas'), ['SOFTWARE_TOKEN_MFA'])
})

await t.test(
  'refresh tokens rotate in the plan that has it, and renewals work in either',
  async (t) => {
    const srp = 'ALLOW_USER_SRP_AUTH'
    const wanted = {
      ESSENTIALS: { version: 'V2_0', flows: [srp], rotation: ['ENABLED', 60] },
      LITE: {
        version: 'V1_0',
        flows: [srp, 'ALLOW_REFRESH_TOKEN_AUTH'],
        rotation: [undefined, undefined],
      },
    }
    for (const [plan, { version, flows, rotation }] of Object.entries(wanted)) {
      for (const make of [terraformSettings, formationSettings]) {
        const made = make({ ...usual, plan: plan as Choices['plan'] })
        const [pool, client] = [made.get('Pool')!, made.get('Client')!]
        t.equal(pool.get('user_pool_tier'), plan)
        t.equal(pool.get('lambda_config.pre_token_generation_config.lambda_version'), version)
        t.strictSame(client.get('explicit_auth_flows'), flows)
        const told = ['feature', 'retry_grace_period_seconds'].map((key) =>
          client.get(`refresh_token_rotation.${key}`),
        )
        t.strictSame(told, rotation, plan)
      }
    }
    const { description } = variables.get('token_version')!
    t.equal(stack.Parameters['TokenVersion']!.Description, description)
    t.match(description, /Essentials .* rotate.* Lite/)
  },
)

await t.test(
  'the Lambda gets the same groups from both, and may write its log alone',
  async (t) => {
    const environment = 'environment.variables.TRAC_PERMISSIONS'
    t.equal(
      terraformSettings(usual).get('Lambda')!.get(environment),
      '${jsonencode({for group, names in var.groups : group => join(",", names)})}',
    )
    const { default: groups } = variables.get('groups') as {
      readonly default: Readonly<Record<string, readonly string[]>>
    }
    const claims = Object.entries(groups).map(([group, list]) => [group, list.join(',')])
    const text = formationSettings(usual).get('Lambda')!.get(environment) as string
    const filled = text.replaceAll(/<(\w)(\w+)_claim>/g, (_, first: string, rest: string) => {
      return stack.Parameters[`${first.toUpperCase()}${rest}Claim`]!.Default!
    })
    t.strictSame(JSON.parse(filled), Object.fromEntries(claims))
    const log = 'arn:<partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole'
    t.strictSame(formationSettings(usual).get('LambdaRole')!.get('managed_policy_arns'), [log])
    const attached = declared('resource').get('aws_iam_role_policy_attachment.lambda_log')!
    t.equal(
      String(attached['policy_arn']).replace('${data.aws_partition.here.partition}', '<partition>'),
      log,
    )
  },
)

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
  const { Sub } = stack.Outputs['GatewayYaml']!.Value as { readonly Sub: readonly [string] }
  const [text] = Sub
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

/** Units of Cognito, in milliseconds. */
const spans = { seconds: 1000, minutes: 60_000, hours: 3_600_000, days: 86_400_000 }

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
    const client = terraformSettings(usual).get('Client')!
    for (const kind of ['access_token', 'id_token']) {
      const unit = client.get(`token_validity_units.${kind}`) as keyof typeof spans
      const life = Number(client.get(`${kind}_validity`)) * spans[unit]
      t.ok(life <= config.identity.maxTokenLife, `${kind}: the gateway takes it`)
    }
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
