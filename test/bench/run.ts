/** `npm run bench`: the gateway with everything on, beside the bare proxy and nginx, a core each, in turns. */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startProvider } from '../../src/demo/provider.js'
import { signIn } from '../../src/demo/sign-in.js'
import { freePort } from '../fixtures/ports.js'
import { Visitor } from '../fixtures/visitor.js'
import { load } from './load.js'
import { comparePolicies } from './policy.js'

const rounds = Number(process.env['BENCH_ROUNDS'] ?? '7')
const roundTime = Number(process.env['BENCH_MILLISECONDS'] ?? '2000')
const connections = 64
const serversFile = fileURLToPath(new URL('./servers.js', import.meta.url))
const table = join(process.cwd(), 'test/bench/README.md')
const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-bench-'))

/** The server's core; the upstream and the load share the other. */
const serverCore = '0'
const otherCore = '1'

interface Contender {
  readonly name: string
  readonly pids: () => readonly number[]
  readonly port: number
  readonly header: string
}

/** Starts a process on a core; resolves with the facts it tells on standard error. */
function startProcess(
  core: string,
  args: readonly string[],
): Promise<{ child: ChildProcess; facts: Record<string, string> }> {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', core, process.execPath, ...process.execArgv, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let text = ''
    child.once('exit', () => reject(new Error(text)))
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const line = text.split('\n').find((one) => one.startsWith('{'))
      if (line === undefined || !text.includes(`${line}\n`)) return
      resolve({ child, facts: JSON.parse(line) as Record<string, string> })
    })
  })
}

/** CPU milliseconds that processes have used (proc(5), fields 14 and 15, in ticks of 10 ms). */
function cpuOf(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks * 10
}

function startNginx(port: number, upstream: string): () => readonly number[] {
  const config = join(folder, 'nginx.conf')
  writeFileSync(
    config,
    `worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log; daemon on;
events { worker_connections 512; }
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s; keepalive_requests 10000000;
 upstream u { server ${upstream.replace('http://', '')}; keepalive 64; keepalive_requests 10000000; }
 server { listen 127.0.0.1:${port}; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; } } }`,
  )
  execFileSync('taskset', ['-c', serverCore, 'nginx', '-c', config])
  return () => {
    const pid = readFileSync(join(folder, 'nginx.pid'), 'utf8').trim()
    const workers = execFileSync('pgrep', ['-P', pid], { encoding: 'utf8' }).trim().split('\n')
    return workers.map(Number)
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

execFileSync('taskset', ['-cp', otherCore, String(process.pid)], { stdio: 'ignore' })
const children: ChildProcess[] = []
const upstreamPort = await freePort()
const upstream = `http://127.0.0.1:${upstreamPort}`
children.push(
  (await startProcess(otherCore, [serversFile, 'upstream', String(upstreamPort)])).child,
)

const contenders: Contender[] = []
const gatewayPort = await freePort()
const origin = `http://localhost:${gatewayPort}`
// In the parent, since it slows a process down that it shares: it turns async hooks on.
const provider = await startProvider()
provider.clients[0]?.redirectUris.push(`${origin}/auth/callback`)
const identity = JSON.stringify({
  cognito: { region: 'us-east-1', userPoolId: 'us-east-1_Example', domain: provider.origin },
  issuer: provider.issuer,
  clientId: provider.clientId,
})
const gateway = await startProcess(serverCore, [
  serversFile,
  'gateway',
  String(gatewayPort),
  upstream,
  identity,
])
children.push(gateway.child)
const person = provider.people[1]!
const { idToken } = await signIn(provider, person)
const visitor = new Visitor()
await visitor.signIn(`${origin}/auth/login?return_to=/wiki`, person)
const headers = {
  bearer: `Authorization: Bearer ${idToken}`,
  session: `Cookie: ${visitor.cookieHeader(origin)}`,
}
for (const kind of ['bearer', 'session'] as const) {
  contenders.push({
    name: `trac-gateway, ${kind}`,
    pids: () => [gateway.child.pid!],
    port: gatewayPort,
    header: headers[kind],
  })
}
const barePort = await freePort()
const bare = await startProcess(serverCore, [serversFile, 'bare', String(barePort), upstream])
children.push(bare.child)
const baseline = 'Fastify + http-proxy, no authentication'
contenders.push({ name: baseline, pids: () => [bare.child.pid!], port: barePort, header: '' })
const nginxPort = await freePort()
contenders.push({
  name: 'nginx, no authentication',
  pids: startNginx(nginxPort, upstream),
  port: nginxPort,
  header: '',
})

const costs = new Map<string, number[]>()
for (let round = -1; round < rounds; round++) {
  for (const { name, pids, port, header } of contenders) {
    const before = cpuOf(pids())
    const { requests } = await load(port, '/chrome/x.css', header, connections, roundTime)
    const cost = ((cpuOf(pids()) - before) * 1000) / requests
    // The first round warms up: code is compiled, connections are opened.
    if (round >= 0) costs.set(name, [...(costs.get(name) ?? []), cost])
  }
}

const policies = comparePolicies(rounds)
const base = costs.get(baseline)!
const rows = contenders.map(({ name }) => {
  const own = costs.get(name)!
  const ratios = own.map((cost, i) => cost / base[i]!)
  return `| ${name} | ${median(own).toFixed(0)} | ${median(ratios).toFixed(2)} | ${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)} |`
})
const text = `# Bench

\`npm run bench\` writes this table. CPU time of the proxy's own process for one GET of 2 KB, one core,
${connections} kept connections, ${rounds} rounds of ${roundTime / 1000} s in turns; the upstream and the load share the other core.
Machines differ and are noisy: the ratio, taken round by round, is what can be compared.
The gateway runs with everything on: verified token or sealed session, policy, signature, headers, audit and request
log, metrics. The other two do nothing but pass it on.

| | CPU µs a request | of the bare proxy's | from–to |
|---|---:|---:|---:|
${rows.join('\n')}

One look-up in a policy of a thousand rows whose first segment is a wildcard costs ${median(policies.ratios).toFixed(2)} times (${Math.min(...policies.ratios).toFixed(2)}–${Math.max(...policies.ratios).toFixed(2)}) that in
one of ten rows, which costs ${policies.few.toFixed(1)} µs.

Node ${process.version}.
`
process.stdout.write(text)
writeFileSync(table, text)
for (const child of children) child.kill()
execFileSync('kill', [readFileSync(join(folder, 'nginx.pid'), 'utf8').trim()])
rmSync(folder, { recursive: true, force: true })
process.exit(0)
