/** The Helm chart: Helm's own engine renders it, Kubernetes' schemas read it, and the gateway takes what it writes. */
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { t } from '../fixtures/tap.js'
import { chart, examples, files, over, renderChart, valuesOf } from '../fixtures/chart.js'
import type { Manifest, Tree } from '../fixtures/chart.js'
import { loadText, secretOf } from '../fixtures/config.js'
import { root } from '../fixtures/root.js'
import { until } from '../fixtures/until.js'
import { watchFiles } from '../../src/cli/watch-files.js'
import { readVersion } from '../../src/core/version.js'

const standalone = valuesOf('standalone')
const replicas = valuesOf('replicas')
const sidecar = valuesOf('sidecar')
const config = standalone['config'] as Tree

const cases: Readonly<Record<string, Tree>> = {
  ...Object.fromEntries(examples.map((name) => [name, valuesOf(name)])),
  made: over(standalone, { secrets: { existing: '', make: true } }),
  'another group': over(standalone, {
    config: { permissions: { groups: { more: ['WIKI_VIEW'] } } },
  }),
  'longer timeouts': over(standalone, {
    config: { server: { timeouts: { drain: '20s', shutdown: '2m' } } },
  }),
  'a short time': over(standalone, { config: { server: { timeouts: { shutdown: '2s' } } } }),
  'odd timeouts': over(sidecar, {
    config: { server: { timeouts: { drain: '61500ms', shutdown: '1m' } } },
  }),
  // What is refused.
  'replicas with cookies': over(standalone, { replicaCount: 2, persistence: { enabled: false } }),
  'replicas on a volume': over(replicas, { persistence: { enabled: true } }),
  'two Tracs': over(sidecar, {
    replicaCount: 2,
    persistence: { enabled: false },
    config: replicas['config'],
  }),
  'no secrets': over(standalone, { secrets: { existing: '' } }),
  'two kinds of secrets': over(standalone, { secrets: { make: true } }),
  'no Trac': over(standalone, { config: { upstreams: { trac: { url: '' } } } }),
  'no image of Trac': over(sidecar, { trac: { image: '' } }),
  'a PEM text': over(standalone, { config: { pages: { note: '-----BEGIN PRIVATE KEY-----' } } }),
  'no public address': { ...standalone, config: { ...config, server: {} } },
  'a bare number of seconds': over(standalone, {
    config: { server: { timeouts: { shutdown: 90 } } },
  }),
  'an unknown mode': over(standalone, { mode: 'daemon' }),
}

const { see, find, podOf, gatewayYaml } = renderChart(cases)
const annotationsOf = (name: string): Tree =>
  (find(name, 'Deployment')!.spec['template'] as Manifest).metadata.annotations!

await t.test('lint and schemas have nothing against it, in any form', async (t) => {
  t.strictSame(examples.toSorted(), ['replicas', 'sidecar', 'standalone'])
  for (const name of [...examples, 'made', 'another group']) {
    const { messages, error, faults } = see(name)
    t.strictSame([...messages], [], name)
    t.equal(error, null, name)
    // That one belongs to the Prometheus operator.
    t.strictSame(
      faults.filter((fault) => fault !== 'no schema: ServiceMonitor'),
      [],
      name,
    )
  }
})

await t.test('the gateway takes each gateway.yaml that it writes', async (t) => {
  for (const name of [...examples, 'made']) {
    const { config, warnings } = loadText(gatewayYaml(name), { files })
    t.strictSame(config.admin.listen, { host: '0.0.0.0', port: 9464 }, name)
    t.equal(config.admin.token, secretOf('a'))
    t.ok(config.admin.hosts.includes('wiki-trac-gateway-admin.trac.svc'))
    const thought = new Set(warnings.map(({ name }) => name))
    // The first is what the network policy is for. The others are the examples' own wishes.
    for (const known of ['admin-address', 'cookie-store', 'base-path', 'plain-http'])
      thought.delete(known)
    t.strictSame([...thought], [], name)
  }
  const many = loadText(gatewayYaml('replicas'), { files }).config.session
  t.match(many, { store: 'redis', replicas: 'many', revocationFile: undefined })
  t.equal(
    loadText(gatewayYaml('sidecar'), { files }).config.upstreams['trac']!.url.url,
    'http://127.0.0.1:8000',
  )
})

await t.test('what can’t be meant is not rendered, and the message says what to set', async (t) => {
  const refusals = {
    'replicas with cookies': /config\.session\.store: redis/,
    'replicas on a volume': /persistence\.enabled: false/,
    'two Tracs': /mode: standalone/,
    'no secrets': /secrets\.existing .* secrets\.make/,
    'two kinds of secrets': /secrets\.existing .* secrets\.make/,
    'no Trac': /config\.upstreams\.trac\.url/,
    'no image of Trac': /trac\.image/,
    'a PEM text': /PEM text/,
    'no public address': /publicUrl/,
    'a bare number of seconds': /server\.timeouts\.shutdown: found 90; .* 30s/,
    'an unknown mode': /mode/,
  }
  for (const [name, wanted] of Object.entries(refusals)) {
    const { error, objects } = see(name)
    t.match(error, wanted, name)
    t.strictSame(objects, [], name)
  }
})

await t.test(
  'a pod has the time to stop that its gateway.yaml gives it, and a little more',
  async (t) => {
    for (const name of [...examples, 'longer timeouts', 'a short time', 'odd timeouts']) {
      const { drain, shutdown } = loadText(gatewayYaml(name), { files }).config.server.timeouts
      const { terminationGracePeriodSeconds } = podOf(name)
      t.equal(terminationGracePeriodSeconds, Math.ceil(Math.max(drain, shutdown) / 1000) + 5, name)
    }
    t.equal(podOf('longer timeouts').terminationGracePeriodSeconds, 125)
    t.equal(podOf('odd timeouts').terminationGracePeriodSeconds, 67)
  },
)

await t.test(
  'every container is held by the restricted standard, and writes nothing of its own',
  async (t) => {
    for (const name of examples) {
      const { securityContext, containers, automountServiceAccountToken } = podOf(name)
      t.match(securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
      t.equal(automountServiceAccountToken, false)
      t.equal(containers.length, name === 'sidecar' ? 2 : 1)
      for (const { securityContext, resources } of containers) {
        t.match(securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        t.match(resources, {
          limits: { memory: String },
          requests: { cpu: String, memory: String },
        })
      }
    }
  },
)

await t.test('probes ask the admin listener: alive, and ready to be sent people', async (t) => {
  const [gateway] = podOf('standalone').containers
  t.match(gateway, {
    livenessProbe: { httpGet: { path: '/healthz', port: 'admin' } },
    startupProbe: { httpGet: { path: '/healthz', port: 'admin' } },
    readinessProbe: { httpGet: { path: '/readyz', port: 'admin' } },
    ports: [
      { name: 'http', containerPort: 8080 },
      { name: 'admin', containerPort: 9464 },
    ],
  })
  const [, trac] = podOf('sidecar').containers
  for (const kind of ['livenessProbe', 'readinessProbe', 'startupProbe'])
    t.match(trac![kind], { exec: { command: ['python3', '-c', "('127.0.0.1', 8000)"] } })
})

await t.test(
  'secrets are the Secret’s that is named, or made; Trac gets its own and no other',
  async (t) => {
    t.equal(find('standalone', 'Secret', '-secrets'), undefined)
    t.match(JSON.stringify(podOf('standalone').volumes), '"name":"trac-gateway"')
    const { data, metadata } = find('sidecar', 'Secret', '-secrets')!
    const text = (key: string): string => Buffer.from(data![key]!, 'base64').toString()
    t.strictSame(Object.keys(data!).toSorted(), ['admin', 'session', 'signing', 'trac-keys'])
    for (const key of ['session', 'signing', 'admin']) {
      t.ok(text(key).length >= 48, key)
      t.notOk(gatewayYaml('sidecar').includes(text(key)), `${key} is in no ConfigMap`)
    }
    t.equal(text('trac-keys'), `k1 ${text('signing')}\n`)
    t.equal(new Set(Object.values(data!)).size, 4)
    t.match(metadata.annotations, { 'helm.sh/resource-policy': 'keep' })
    const [, trac] = podOf('sidecar').containers
    t.strictSame(
      trac!.volumeMounts.map(({ name }) => name),
      ['trac-keys', 'trac', 'trac-tmp'],
    )
    t.notMatch(JSON.stringify(trac), 'wiki-trac-gateway-secrets')
  },
)

await t.test(
  'a change of the configuration starts new pods, or is taken up in place',
  async (t) => {
    const before = annotationsOf('standalone')['checksum/config']
    t.match(before, /^[\da-f]{64}$/)
    t.not(annotationsOf('another group')['checksum/config'], before)
    t.notMatch(JSON.stringify(annotationsOf('sidecar')), 'checksum')
    // A file of a ConfigMap that is mounted by itself never changes in a pod.
    t.notMatch(JSON.stringify(podOf('sidecar')), 'subPath')
  },
)

await t.test(
  'a ConfigMap that changes in a pod is seen: a link is turned to another folder',
  async (t) => {
    const folder = t.testdir({})
    const turn = (name: string): void => {
      mkdirSync(join(folder, name))
      writeFileSync(join(folder, name, 'gateway.yaml'), name)
      symlinkSync(name, join(folder, '..data_tmp'))
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    turn('..one')
    const path = join(folder, 'gateway.yaml')
    symlinkSync('..data/gateway.yaml', path)
    const read: string[] = []
    const watch = watchFiles(() => read.push(readFileSync(path, 'utf8')))
    t.teardown(() => watch.close())
    watch.follow([path])
    // It looks once at the beginning.
    await until(() => read.length === 1, 'it looks')
    turn('..two')
    await until(() => read.length === 2, 'it sees the other folder')
    t.strictSame(read, ['..one', '..two'])
  },
)

await t.test(
  'several pods come with a budget and an autoscaler, and one with neither',
  async (t) => {
    t.match(find('replicas', 'PodDisruptionBudget')!.spec, { maxUnavailable: 1 })
    t.match(find('replicas', 'HorizontalPodAutoscaler')!.spec, { minReplicas: 2, maxReplicas: 4 })
    t.equal(find('replicas', 'Deployment')!.spec['replicas'], undefined, 'it alone says how many')
    t.match(find('replicas', 'Deployment')!.spec['strategy'], {
      rollingUpdate: { maxUnavailable: 0 },
    })
    for (const name of ['standalone', 'sidecar']) {
      t.equal(find(name, 'PodDisruptionBudget'), undefined)
      t.equal(find(name, 'HorizontalPodAutoscaler'), undefined)
      t.strictSame(find(name, 'Deployment')!.spec['strategy'], { type: 'Recreate' })
    }
  },
)

await t.test(
  'the operator finds the admin ports, under the job that the alerts look for',
  async (t) => {
    const { spec } = find('replicas', 'ServiceMonitor')!
    t.match(spec, {
      jobLabel: 'app.kubernetes.io/name',
      endpoints: [{ port: 'admin', path: '/metrics' }],
    })
    const { matchLabels } = spec['selector'] as { readonly matchLabels: Tree }
    const labels = (name: string) =>
      (find('replicas', 'Service', name)!.metadata as unknown as { readonly labels: Tree }).labels
    t.match(labels('-admin'), matchLabels)
    t.notMatch(labels(''), matchLabels)
    t.equal(labels('-admin')['app.kubernetes.io/name'], 'trac-gateway')
    t.match(readFileSync(`${root}deploy/prometheus/alerts.yaml`, 'utf8'), 'job="trac-gateway"')
  },
)

await t.test('outside is what publicUrl says, and the chart is of this version', async (t) => {
  t.match(find('standalone', 'Ingress')!.spec, {
    tls: [{ hosts: ['trac.example.edu'], secretName: 'trac-tls' }],
    rules: [{ host: 'trac.example.edu', http: { paths: [{ path: '/trac', pathType: 'Prefix' }] } }],
  })
  const about = parse(readFileSync(`${chart}/Chart.yaml`, 'utf8')) as Tree
  t.match(about, { version: readVersion(), appVersion: readVersion() })
})
