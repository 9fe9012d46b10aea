/** The schema of the chart's values: a mistyped key is refused, and so is a secret wherever gateway.yaml has one. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { t } from '../fixtures/tap.js'
import { chart, over, renderChart, valuesOf } from '../fixtures/chart.js'
import type { Tree } from '../fixtures/chart.js'
import { secretOf } from '../fixtures/config.js'
import { root } from '../fixtures/root.js'

interface Schema {
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly definitions?: Readonly<Record<string, Schema>>
}
const readSchema = (path: string): Schema => JSON.parse(readFileSync(path, 'utf8')) as Schema

/** Names of things that have names in gateway.yaml. */
const named: Readonly<Record<string, string>> = { upstreams: 'trac', headers: 'authorization' }

/** The places of secrets in gateway.yaml, `0` for the first of a list. */
function secretPlaces(
  schema: Schema,
  path: readonly string[] = [],
): readonly (readonly string[])[] {
  const { properties = {}, additionalProperties, items, anyOf = [] } = schema
  if (anyOf.some((one) => one.properties?.['fromFile'] !== undefined)) return [path]
  const below = Object.entries(properties).flatMap(([key, one]) =>
    secretPlaces(one, [...path, key]),
  )
  const name = named[path.at(-1) ?? ''] ?? 'name'
  const ofNames =
    typeof additionalProperties === 'object'
      ? secretPlaces(additionalProperties, [...path, name])
      : []
  return [...below, ...ofNames, ...(items === undefined ? [] : secretPlaces(items, [...path, '0']))]
}

/** Values with something at a place of them. */
function at(path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return value
  return key === '0' ? [at(rest, value)] : { [key]: at(rest, value) }
}

const standalone = valuesOf('standalone')
const literal = secretOf('x')
const places = secretPlaces(readSchema(`${root}deploy/gateway.schema.json`))
const typos = [
  'replicas',
  'networkPolicies',
  'image.tagg',
  'secrets.exist',
  'persistence.enable',
  'trac.existingclaim',
  'service.ports',
  'ingress.tls',
  'networkPolicy.providerPort',
  'networkPolicy.redisto',
  'podDisruptionBudget.minAvailable',
  'autoscaling.max',
  'serviceMonitor.label',
  'resources.limit',
]
const below = (path: readonly string[], value: unknown): Tree =>
  over(standalone, at(['config', ...path], value) as Tree)

const { see } = renderChart({
  ...Object.fromEntries(
    places.flatMap((path) => [
      [`${path.join('.')} as text`, below(path, literal)],
      [`${path.join('.')} in a file`, below(path, { fromFile: '/run/secrets/trac-gateway/x' })],
    ]),
  ),
  ...Object.fromEntries(
    typos.map((typo) => [typo, over(standalone, at(typo.split('.'), {}) as Tree)]),
  ),
  'a peer with a typo': over(standalone, { networkPolicy: { redisTo: [{ podselector: {} }] } }),
  'part of another chart': over(standalone, { global: { imageRegistry: 'registry.example.edu' } }),
})

await t.test('a secret is refused as text wherever gateway.yaml has one', async (t) => {
  const known = places.map((path) => path.join('.'))
  for (const place of [
    'tracing.headers.authorization',
    'routes.0.webhook.secrets.0',
    'admin.token',
  ])
    t.ok(known.includes(place), place)
  for (const path of known) {
    const { error, messages, objects } = see(`${path} as text`)
    t.match(error?.replaceAll('/', '.'), `config.${path}`, path)
    t.not(messages.length, 0, `${path}: helm lint`)
    t.strictSame(objects, [])
    t.notMatch([error, ...messages].join('\n'), literal, 'the message does not repeat the secret')
    t.equal(see(`${path} in a file`).error, null, path)
  }
})

await t.test('a key that is mistyped is refused by helm lint and named', async (t) => {
  for (const typo of [...typos, 'a peer with a typo']) {
    const { error, messages } = see(typo)
    const name = typo === 'a peer with a typo' ? 'podselector' : typo.split('.').at(-1)!
    t.match(error, name, typo)
    t.match(messages.join('\n'), name, `${typo}: helm lint`)
  }
  t.equal(see('part of another chart').error, null, 'Helm itself passes `global`')
})

const values = parse(readFileSync(`${chart}/values.yaml`, 'utf8')) as Tree
const schema = readSchema(`${chart}/values.schema.json`)
const resolved = (one: Schema): Schema =>
  one.$ref === undefined ? one : schema.definitions![one.$ref.replace('#/definitions/', '')]!

/** Keys of closed objects, by their path. */
function keysOfSchema(one: Schema, path = ''): readonly string[] {
  const { properties, additionalProperties } = resolved(one)
  if (properties === undefined || additionalProperties !== false) return [path]
  return Object.entries(properties).flatMap(([key, inner]) => keysOfSchema(inner, `${path}.${key}`))
}
function keysOfValues(one: unknown, leaves: ReadonlySet<string>, path = ''): readonly string[] {
  if (leaves.has(path) || typeof one !== 'object' || one === null) return [path]
  return Object.entries(one).flatMap(([key, inner]) =>
    keysOfValues(inner, leaves, `${path}.${key}`),
  )
}

await t.test('the schema knows the keys of values.yaml, and no others', async (t) => {
  // What is nothing by default.
  const absent = ['.global', '.resources.claims', '.trac.resources.claims']
  const known = keysOfSchema(schema).filter((path) => !absent.includes(path))
  t.strictSame(keysOfValues(values, new Set(known)).toSorted(), known.toSorted())
})
