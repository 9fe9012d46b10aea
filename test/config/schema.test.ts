/** The schema: every key told, the editors' schema true to it, and both as strict as they claim. */
import { readFileSync } from 'node:fs'
import { t } from '../fixtures/tap.js'
import { Check } from 'typebox/schema'
import { parse } from 'yaml'
import { tracActions } from '../../src/trac/permissions.js'
import { listKeys } from '../../src/config/docs.js'
import { jsonSchema } from '../../src/config/json-schema.js'
import type { KeySchema } from '../../src/config/key.js'
import { configKeys } from '../../src/config/schema.js'
import { learnTracGroups } from '../../src/config/topics/permissions.js'
import { loadText, minimal, withPermissions } from '../fixtures/config.js'
import { alternativeNames, gatewayYaml, takeAlternative } from '../fixtures/gateway-yaml.js'

function everyKey(schema: KeySchema, path = 'file'): readonly (readonly [string, KeySchema])[] {
  const { items, additionalProperties: item } = schema
  return [
    [path, schema],
    ...Object.entries(schema.properties ?? {}).flatMap(([key, one]) =>
      everyKey(one, `${path}.${key}`),
    ),
    ...(items === undefined ? [] : everyKey(items, `${path}[]`)),
    ...(typeof item === 'object' ? everyKey(item, `${path}.<>`) : []),
  ]
}

await t.test('tells of each key in one line what it means', async (t) => {
  const untold = everyKey(configKeys).filter(
    ([, { description = '' }]) => description === '' || description.includes('\n'),
  )
  t.same(untold, [])
  const unwanted = everyKey(configKeys).filter(([, { wanted = '' }]) => wanted === '')
  t.same(unwanted, [], 'and each report can say what was wanted')
})

await t.test('each row of the table is one key, required or with a default', async (t) => {
  const rows = listKeys()
  t.ok(rows.length > 100)
  t.equal(new Set(rows.map(({ path }) => path)).size, rows.length)
  t.same(
    rows.filter((row) => row.required === (row.default !== '')),
    [],
  )
  t.same(
    rows.filter(({ required, path }) => required && !/[[<]/.test(path)).map(({ path }) => path),
    [
      'server.publicUrl',
      'server.tls.certificate',
      'server.tls.key',
      'identity.cognito.region',
      'identity.cognito.userPoolId',
      'identity.cognito.domain',
      'identity.clientId',
      'session.secrets',
      'session.redis.url',
      'permissions.groups',
      'upstreams',
      'tracing.endpoint',
    ],
  )
})

await t.test('a file of five lines gets every default of the contract', async (t) => {
  const { config } = loadText(minimal)
  t.same(config.server.limits, {
    header: 32 * 1024,
    target: 4000,
    body: 10 * 1024 ** 2,
    spool: 1024 ** 3,
  })
  t.same(config.server.timeouts, {
    headers: 15_000,
    bodyIdle: 30_000,
    bodyMinimumRate: 1024,
    clientRead: 60_000,
    queue: 10_000,
    keepAlive: 75_000,
    drain: 5000,
    shutdown: 30_000,
  })
  t.same(config.identity.keys, { maxAge: 3_600_000, coolDown: 30_000, cacheFile: undefined })
  t.same(config.session.idleTimeout, 8 * 3_600_000)
  t.same(config.session.maxAge, 7 * 86_400_000)
  t.same(config.permissions.anonymous, [])
  t.equal(config.permissions.fromClaims, 'nonAdmin')
  t.same(config.rateLimit, {
    auth: { max: 600, per: 60_000 },
    failures: { max: 20, per: 60_000 },
    badTokens: { max: 600, per: 60_000 },
  })
  t.same(config.upstreams['trac']?.timeouts, { connect: 2000, firstByte: 60_000, idle: 60_000 })
})

await t.test('LearnTrac’s lines grant only what Trac knows', async (t) => {
  for (const action of Object.values(learnTracGroups).flat())
    t.ok(Object.hasOwn(tracActions, action), action)
})

await t.test('the schema for editors is the committed one', async (t) => {
  t.same(JSON.parse(readFileSync('deploy/gateway.schema.json', 'utf8')), jsonSchema())
})

await t.test('the schema for editors takes gateway.yaml and each alternative', async (t) => {
  const schema = jsonSchema()
  t.ok(Check(schema, parse(gatewayYaml)))
  for (const name of alternativeNames(gatewayYaml)) {
    t.ok(Check(schema, parse(takeAlternative(gatewayYaml, name))), name)
  }
  t.ok(Check(schema, parse(minimal)))
})

await t.test('the schema for editors marks mistakes', async (t) => {
  const schema = jsonSchema()
  const mistakes = [
    minimal.replace('publicUrl', 'publicURL'),
    minimal.replace('clientId: trac', 'scopes: [openid]'),
    `${minimal}colour: blue\n`,
    `${minimal}mode: shadows\n`,
    `${minimal}rateLimit: { auth: { per: 30 } }\n`,
    `${minimal}rateLimit: { auth: { per: 30sec } }\n`,
    withPermissions('groups: {}, anonymous: [wiki_view]'),
    withPermissions('groups: {}, fromClaims: some'),
    minimal.replace(/^permissions.*\n/m, ''),
    `${minimal}routes: [{ name: a }]\n`,
    `${minimal}routes: [{ name: a, path: /a, require: { anyGroup: [] } }]\n`,
    minimal.replace('[{ fromEnv: SESSION }]', '[plain-text-secret]'),
  ]
  for (const text of mistakes) t.notOk(Check(schema, parse(text)), text.split('\n').at(-2) ?? '')
})
