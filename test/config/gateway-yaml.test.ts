/** gateway.yaml: runs as it stands and with each alternative, and has every key with its default. */
import { t } from '../fixtures/tap.js'
import { LineCounter, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import { renewGatewayYaml } from '../../src/config/gateway-yaml.js'
import { configKeys } from '../../src/config/schema.js'
import type { KeySchema } from '../../src/config/key.js'
import type { Config } from '../../src/config/schema.js'
import { createCertificate } from '../fixtures/certificate.js'
import { loadText, secretOf } from '../fixtures/config.js'
import { alternativeNames, gatewayYaml, takeAlternative } from '../fixtures/gateway-yaml.js'

const { certificate, key } = createCertificate()

/** What the file and its alternatives name; the demo gives the first two. */
const sources = {
  env: {
    TRAC_GATEWAY_SESSION_SECRET: secretOf('a'),
    TRAC_GATEWAY_SIGNING_SECRET: secretOf('b'),
    OIDC_CLIENT_SECRET: 'c',
    REDIS_URL: 'rediss://redis.example.edu:6380',
  },
  files: {
    '/run/secrets/tls.crt': certificate,
    '/run/secrets/tls.key': key,
    '/run/secrets/redis-ca.crt': certificate,
    '/run/secrets/admin-token': secretOf('d'),
    '/run/secrets/github-hook': secretOf('e'),
    '/etc/trac-gateway/logo.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  },
}

const alternatives = alternativeNames(gatewayYaml)

const load = (text: string): Config => loadText(text, sources).config

await t.test('runs as it stands, with two secrets and nothing else', async (t) => {
  const config = load(gatewayYaml)
  t.equal(config.server.publicUrl.url, 'http://localhost:8000/trac')
  t.same(config.server.listen, { host: '127.0.0.1', port: 8000 })
  t.same(config.admin.listen, { host: '127.0.0.1', port: 9464 })
  t.equal(config.identity.issuer, 'http://127.0.0.1:9000/us-east-1_Example')
  t.equal(config.identity.username.emailLocalPart, 'example.edu')
  t.equal(config.upstreams['trac']?.url.url, 'http://127.0.0.1:8001')
  t.equal(config.upstreams['api']?.url.url, 'http://127.0.0.1:8002')
  t.equal(config.routes[0]?.path, '/api/**')
  t.ok(config.permissions.anonymous.includes('WIKI_VIEW'))
  t.ok(config.permissions.anonymous.every((action) => action.endsWith('_VIEW')))
  t.match(gatewayYaml, /^# yaml-language-server: \$schema=deploy\/gateway\.schema\.json\n/)
})

await t.test('takes its addresses from the environment', async (t) => {
  const env = {
    ...sources.env,
    TRAC_GATEWAY_PUBLIC_URL: 'http://localhost:1/x',
    TRAC_GATEWAY_LISTEN: '127.0.0.1:2',
    TRAC_GATEWAY_ADMIN_LISTEN: '127.0.0.1:3',
    TRAC_GATEWAY_ISSUER: 'http://127.0.0.1:4/pool',
    TRAC_GATEWAY_COGNITO_DOMAIN: 'http://127.0.0.1:5',
    TRAC_GATEWAY_CLIENT_ID: 'six',
    TRAC_GATEWAY_TRAC_URL: 'http://127.0.0.1:7',
    TRAC_GATEWAY_API_URL: 'http://127.0.0.1:8',
  }
  const { server, admin, identity, upstreams } = loadText(gatewayYaml, { env }).config
  t.same(
    [server.publicUrl.url, server.listen, admin.listen, identity.issuer, identity.cognito?.domain],
    [
      'http://localhost:1/x',
      { host: '127.0.0.1', port: 2 },
      { host: '127.0.0.1', port: 3 },
      'http://127.0.0.1:4/pool',
      'http://127.0.0.1:5',
    ],
  )
  t.same(
    [identity.clientId, upstreams['trac']?.url.url, upstreams['api']?.url.url],
    ['six', 'http://127.0.0.1:7', 'http://127.0.0.1:8'],
  )
})

await t.test('runs with each of its alternatives, and each changes something', async (t) => {
  t.ok(alternatives.length >= 10)
  t.equal(new Set(alternatives).size, alternatives.length, 'each has a name of its own')
  const plain = JSON.stringify(load(gatewayYaml))
  for (const name of alternatives) {
    const changed = JSON.stringify(load(takeAlternative(gatewayYaml, name)))
    t.not(changed, plain, name)
  }
  const commented = gatewayYaml.split('\n').filter((line) => /^ *#\|/.test(line)).length
  const taken = alternatives.map((name) => takeAlternative(gatewayYaml, name))
  const left = taken.map((text) => text.split('\n').filter((line) => /^ *#\|/.test(line)).length)
  const blocks = left.map((count) => commented - count)
  t.equal(
    blocks.reduce((sum, count) => sum + count, 0),
    commented,
    'no commented line belongs to none of them',
  )
})

/** A key that stands in a text: its schema, its value, and the comment above it. */
interface Shown {
  readonly path: string
  readonly schema: KeySchema
  readonly value: unknown
  readonly comment: string
}

/** Every key in a text, with its path as the README spells it. */
function keysOf(text: string): readonly Shown[] {
  const lines = text.split('\n')
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter })
  const shown: Shown[] = []
  const commentAbove = (offset: number): string => {
    const above: string[] = []
    let index = counter.linePos(offset).line - 2
    for (; /^ *(- )?#/.test(lines[index] ?? ''); index--) above.unshift(lines[index] ?? '')
    return above.map((line) => line.replace(/^ *(- )?# ?/, '')).join(' ')
  }
  const walk = (node: unknown, schema: KeySchema, path: string): void => {
    if (isSeq(node) && schema.items !== undefined) {
      for (const item of node.items) walk(item, schema.items, `${path}[]`)
    }
    if (!isMap(node)) return
    for (const { key: name, value } of node.items) {
      const property = isScalar(name) ? schema.properties?.[String(name.value)] : undefined
      if (isScalar(name) && property !== undefined) {
        const at = path === '' ? String(name.value) : `${path}.${String(name.value)}`
        shown.push({
          path: at,
          schema: property,
          value: toValue(value),
          comment: commentAbove(name.range?.[0] ?? 0),
        })
        walk(value, property, at)
      } else if (typeof schema.additionalProperties === 'object') {
        walk(value, schema.additionalProperties, `${path}.<${schema.keyName}>`)
      }
    }
  }
  walk(document.contents, configKeys, '')
  return shown
}

function toValue(node: unknown): unknown {
  if (isScalar(node)) return node.value
  return isMap(node) || isSeq(node) ? node.toJSON() : undefined
}

/** Every key that the schema has. */
function allKeys(schema: KeySchema, path = ''): readonly string[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const at = path === '' ? name : `${path}.${name}`
    return [at, ...allKeys(property, at)]
  })
  const { items, additionalProperties: item } = schema
  return [
    ...below,
    ...(items === undefined ? [] : allKeys(items, `${path}[]`)),
    ...(typeof item === 'object' ? allKeys(item, `${path}.<${schema.keyName}>`) : []),
  ]
}

/** What stands in the file, and what only its alternatives have. */
function shownKeys(): readonly Shown[] {
  const keys = [...keysOf(gatewayYaml)]
  const active = new Set(keys.map(({ path }) => path))
  for (const name of alternatives) {
    for (const shown of keysOf(takeAlternative(gatewayYaml, name))) {
      if (!active.has(shown.path)) keys.push(shown)
    }
  }
  return keys
}

await t.test('has every key of the schema, and no other', async (t) => {
  const known = [...new Set(allKeys(configKeys))].toSorted()
  t.ok(known.length > 100)
  t.same([...new Set(shownKeys().map(({ path }) => path))].toSorted(), known)
})

await t.test('has each key once, but for those of lists, records and alternatives', async (t) => {
  const paths = keysOf(gatewayYaml).map(({ path }) => path)
  const single = paths.filter((path) => !/[[<]/.test(path))
  t.same(single.toSorted(), [...new Set(single)].toSorted())
})

/** What the comment has to say of a key that is not at its default. */
function defaultWords(schema: KeySchema): string {
  if (!('default' in schema)) {
    const words = schema.absent ?? schema.computed
    return words === undefined ? 'Required.' : `Default: ${words}.`
  }
  const { default: value } = schema
  return `Default: ${typeof value === 'string' ? value : JSON.stringify(value)}.`
}

const isDefault = ({ schema, value }: Shown): boolean =>
  'default' in schema && JSON.stringify(schema.default) === JSON.stringify(value)

const isSection = ({ properties, absent }: KeySchema): boolean =>
  properties !== undefined && absent === undefined

await t.test('says for each key that is not at its default what that is', async (t) => {
  const silent = shownKeys().filter((shown) => {
    if (isDefault(shown) || isSection(shown.schema)) return false
    return !shown.comment.includes(defaultWords(shown.schema))
  })
  // Further entries of a list or record say nothing that the first has not said.
  const said = new Set(
    shownKeys()
      .filter(({ comment }) => /Default:|Required\./.test(comment))
      .map(({ path }) => path),
  )
  const left = silent.filter(({ path }) => !said.has(path) || !/[[<]/.test(path))
  t.same(
    left.map(({ path, comment }) => ({ path, comment })),
    [],
  )
})

await t.test('its comments are those of the schema, whatever stood there', async (t) => {
  const renew = (text: string) => renewGatewayYaml(text, configKeys)
  t.equal(renew(gatewayYaml), gatewayYaml, 'run `npm run docs`')
  const [head = '', ...sections] = gatewayYaml.split(/(?<=\n)(?=\n)/)
  const body = sections.join('')
  const bare = body
    .replaceAll(/^ *(?:#\| *)?# (?!alternative).*\n/gm, '')
    .replaceAll(/- # .*\n(?:.*# .*\n)* *(?:#\| *)?/g, '- ')
  t.notMatch(bare, /# (?!alternative)/)
  t.equal(renew(head + bare), gatewayYaml, 'without comments')
  const other = body.replaceAll(/(?<=# .*)(?:Required|Default)(?=[:.])/g, 'Something else')
  t.not(other, body)
  t.equal(renew(head + other), gatewayYaml, 'with others')
  for (const line of gatewayYaml.split('\n')) t.ok(line.length <= 100, line)
})

await t.test('a key that it lacks is put in with its default', async (t) => {
  const lacking = gatewayYaml
    .replace('    bodyIdle: 30s\n', '')
    .replace('mode: enforce\n', '')
    .replace('    forwardAccessToken: false\n', '')
    .replace('  #|     per: 1m\n', '')
  t.equal(lacking.split('\n').length, gatewayYaml.split('\n').length - 4)
  const renewed = renewGatewayYaml(lacking, configKeys)
  t.same(load(renewed), load(gatewayYaml))
  t.match(renewed, /# Without one byte of the body\. At least 1s\.\n    bodyIdle: 30s\n/)
  t.match(renewed, /\n  #\|     per: 1m\n/, 'in an alternative, too')
  t.throws(
    () => renewGatewayYaml(gatewayYaml.replace(/ *clientId: .*\n/, ''), configKeys),
    /gateway\.yaml lacks identity\.clientId/,
  )
})
