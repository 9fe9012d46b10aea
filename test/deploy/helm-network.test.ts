/** The chart's NetworkPolicy: who reaches whom, and a way out to each address that gateway.yaml names. */
import { t } from '../fixtures/tap.js'
import { over, renderChart, valuesOf } from '../fixtures/chart.js'
import type { Tree } from '../fixtures/chart.js'

const standalone = valuesOf('standalone')
// Without what the schemas don't know.
const replicas = over(valuesOf('replicas'), { serviceMonitor: { enabled: false } })
const sidecar = valuesOf('sidecar')
const upstream = (url: string): Tree => ({ url, insecureHttp: true })
const ofUpstreams = (upstreams: Tree): Tree => ({ config: { upstreams } })
const ofIdentity = (identity: Tree): Tree => ({ config: { identity } })
const ofPolicy = (networkPolicy: Tree): Tree => ({ networkPolicy })
const collector = { config: { tracing: { endpoint: 'http://otel.observe:4318/v1/traces' } } }
const toRedis = (port: Tree): Tree => ({
  extraEgress: [{ to: [{ podSelector: { matchLabels: { app: 'redis' } } }], ports: [port] }],
})

/** Values, and the ports that are open after the two of names; none where they are refused. */
const ways: Readonly<Record<string, readonly [values: Tree, ports: readonly number[]]>> = {
  standalone: [standalone, [443, 8000]],
  replicas: [replicas, [443, 443, 6379]],
  'a sidecar': [sidecar, [443]],
  'an API on its own port': [
    over(standalone, ofUpstreams({ api: upstream('http://api:8001') })),
    [443, 8000, 8001],
  ],
  'an API beside a sidecar': [
    over(sidecar, ofUpstreams({ api: upstream('http://api:8001') })),
    [443, 8001],
  ],
  'two that share a port, and one in the pod': [
    over(
      standalone,
      ofUpstreams({
        api: upstream('https://api'),
        files: upstream('https://files.example.edu/'),
        local: upstream('http://127.0.0.1:9000'),
        named: upstream('http://api.localhost:9001'),
        six: upstream('http://[::1]:9002'),
        socket: upstream('unix:/var/lib/trac-gateway/api.sock'),
      }),
    ),
    [443, 8000, 443],
  ],
  'Trac at an address': [
    over(standalone, ofUpstreams({ trac: upstream('http://10.0.0.5') })),
    [443, 80],
  ],
  'Trac at a name that ends in digits': [
    over(standalone, ofUpstreams({ trac: upstream('http://trac16') })),
    [443, 80],
  ],
  'a collector': [over(standalone, collector), [443, 8000, 4318]],
  'an issuer on its own port': [
    over(sidecar, ofIdentity({ issuer: 'https://idp.example.edu:8443/realms/trac' })),
    [8443],
  ],
  'further issuers': [
    over(
      standalone,
      ofIdentity({
        additionalIssuers: [{ issuer: 'http://keycloak:8080/realms/a' }, { issuer: 'https://b' }],
      }),
    ),
    [443, 8080, 8000],
  ],
  'a look-alike of Cognito': [
    over(standalone, {
      config: {
        identity: {
          issuer: 'http://moto:5000/pool',
          cognito: { domain: 'https://login.example.edu:9443' },
        },
      },
    }),
    [5000, 9443, 8000],
  ],
  'a provider that names other ports': [
    over(standalone, ofPolicy({ providerPorts: [8443] })),
    [443, 8443, 8000],
  ],
  'a rule of one’s own': [
    over(standalone, ofPolicy({ extraEgress: [{ ports: [{ port: 587 }] }] })),
    [443, 8000, 587],
  ],
  'Redis by a rule of one’s own': [
    over(replicas, ofPolicy({ redisTo: [], ...toRedis({ port: 6379 }) })),
    [443, 443, 6379],
  ],
  'Redis by a range': [
    over(replicas, ofPolicy({ redisTo: [], ...toRedis({ port: 6000, endPort: 7000 }) })),
    [443, 443, 6000],
  ],
  'Redis without peers': [over(replicas, ofPolicy({ redisTo: [] })), []],
  'Redis with a rule for another port': [
    over(replicas, ofPolicy({ redisTo: [], ...toRedis({ port: 26379 }) })),
    [],
  ],
  'Trac without peers': [over(standalone, ofPolicy({ tracTo: [] })), []],
  'a collector without peers': [over(over(standalone, collector), ofPolicy({ tracingTo: [] })), []],
  'a provider without peers': [over(standalone, ofPolicy({ providerTo: [] })), []],
  'an API without peers': [
    over(
      over(standalone, ofUpstreams({ api: upstream('http://api:8001') })),
      ofPolicy({ upstreamsTo: [] }),
    ),
    [],
  ],
}

const { see, find } = renderChart({
  ...Object.fromEntries(Object.entries(ways).map(([name, [values]]) => [name, values])),
  closed: over(standalone, ofPolicy({ ingressFrom: [], monitoringFrom: [] })),
  'no policy': over(replicas, ofPolicy({ enabled: false, redisTo: [] })),
})

interface Rule {
  readonly to?: readonly Tree[]
  readonly from?: readonly Tree[]
  readonly ports: readonly { readonly port: number }[]
}
interface Policy {
  readonly podSelector: Tree
  readonly ingress: readonly Rule[]
  readonly egress: readonly Rule[]
}
const policyOf = (name: string, suffix = '') =>
  find(name, 'NetworkPolicy', suffix)?.spec as unknown as Policy | undefined
const portsOf = (rules: readonly Rule[]) =>
  rules.flatMap(({ ports }) => ports.map(({ port }) => port))

await t.test(
  'the network lets visitors to one port, Prometheus to the other, and only the gateway to Trac',
  async (t) => {
    const { ingress } = policyOf('standalone')!
    t.strictSame(
      ingress.map((rule) => portsOf([rule])),
      [[8080], [9464]],
    )
    t.match(JSON.stringify(ingress[0]!.from), 'ingress-nginx')
    t.match(JSON.stringify(ingress[1]!.from), 'prometheus')
    t.strictSame(policyOf('closed')!.ingress, [], 'nobody named, nobody let in')
    const trac = policyOf('standalone', '-trac')!
    t.strictSame(trac.podSelector, { matchLabels: { app: 'trac' } })
    t.strictSame(trac.ingress, [
      {
        from: [
          {
            podSelector: {
              matchLabels: {
                'app.kubernetes.io/name': 'trac-gateway',
                'app.kubernetes.io/instance': 'wiki',
              },
            },
          },
        ],
      },
    ])
    t.equal(policyOf('replicas', '-trac'), undefined)
  },
)

await t.test('the gateway is let out to the ports of its addresses, and to no other', async (t) => {
  for (const [name, [, ports]] of Object.entries(ways)) {
    if (ports.length === 0) continue
    const { error, messages, faults } = see(name)
    t.strictSame([error, ...messages, ...faults], [null], name)
    t.strictSame(portsOf(policyOf(name)!.egress), [53, 53, ...ports], name)
  }
  const [, , , redis] = policyOf('replicas')!.egress
  t.strictSame(redis!.to, [{ podSelector: { matchLabels: { app: 'redis' } } }])
})

await t.test(
  'what would only time out is not rendered, and the message says what to write',
  async (t) => {
    const refusals = {
      'Redis without peers': ['redisTo', 'config.session.store is redis', 6379],
      'Redis with a rule for another port': ['redisTo', 'config.session.store is redis', 6379],
      'Trac without peers': ['tracTo', 'config.upstreams.trac is outside of the pod', 8000],
      'a collector without peers': ['tracingTo', 'config.tracing.endpoint', 4318],
      'a provider without peers': ['providerTo', 'config.identity', 443],
      'an API without peers': ['upstreamsTo', 'config.upstreams', 8001],
    } as const
    const refused = Object.keys(ways).filter((name) => ways[name]![1].length === 0)
    t.strictSame(Object.keys(refusals).toSorted(), refused.toSorted())
    for (const [name, [key, why, port]] of Object.entries(refusals)) {
      const { error, objects } = see(name)
      t.strictSame(objects, [], name)
      for (const part of [`networkPolicy.${key}: found nobody`, why, `port ${port}`])
        t.match(error, part, name)
      t.match(error, `Write networkPolicy.${key}: [{ podSelector:`, name)
    }
    t.equal(see('no policy').error, null, 'without a policy nothing is closed')
  },
)
