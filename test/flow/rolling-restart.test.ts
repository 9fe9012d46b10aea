/** Three replicas on one Redis, restarted one after the other behind real balancers under load: nobody’s request is lost. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { startServer } from '../../src/demo/trac.js'
import { loadText } from '../fixtures/config.js'
import { configurationOf, environmentOf } from '../fixtures/gateway.js'
import { listen } from '../fixtures/listen.js'
import { freePort } from '../fixtures/ports.js'
import { startGatewayProcess } from '../fixtures/process.js'
import { startRedis } from '../fixtures/redis.js'
import { scaled } from '../fixtures/scale.js'
import { stage } from '../fixtures/stage.js'
import { openStoredSessions } from '../fixtures/stored-sessions.js'
import { until } from '../fixtures/until.js'

/** How often all three are restarted, and how many requests a second each balancer gets. */
const rolls = scaled(1, 4)
const rate = scaled(60, 200)
const drain = scaled(1, 5)
/** Requests under way at once, for each balancer. */
const maxOpen = 64

/** HAProxy by its defaults, with probes that fail within less than the drain. */
function haproxy(mode: 'http' | 'tcp', port: number, replicas: readonly number[]): string {
  const servers = replicas.map((replica, n) => `  server r${n} 127.0.0.1:${replica} check`)
  return `
listen ${mode}
  bind 127.0.0.1:${port}
  mode ${mode}
  option redispatch
  option httpchk GET /trac/auth/healthz
  http-check expect status 200
  default-server inter 200ms fall 2 rise 1
${servers.join('\n')}
`
}

const haproxyStart = `
global
  maxconn 1000
defaults
  timeout connect 2s
  timeout check 3s
  timeout client 30s
  timeout server 30s
  timeout http-keep-alive 30s
`

/** nginx as deploy/docs/guides/operations.md says: by default one refused connection keeps a replica out for ten seconds. */
function nginx(folder: string, port: number, replicas: readonly number[]): string {
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}; proxy_temp_path ${folder};
  fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  upstream gateways {
    ${replicas.map((replica) => `server 127.0.0.1:${replica} max_fails=0;`).join(' ')}
    keepalive 16;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://gateways;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }
  }
}
`
}

/** Answers after a few milliseconds with what it was sent, and counts how often each address was asked. */
async function startEcho(t: Test): Promise<{ url: string; asked: Map<string, number> }> {
  const asked = new Map<string, number>()
  const server = createServer((message, response) => {
    const url = message.url ?? ''
    asked.set(url, (asked.get(url) ?? 0) + 1)
    const chunks: Buffer[] = []
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('end', () => {
      setTimeout(() => response.end(`${message.method} ${Buffer.concat(chunks).toString()}`), 5)
    })
  })
  const port = await listen(server)
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${port}`, asked }
}

/**
 * Asks through a balancer, so many times a second, on kept connections; every third time with a body.
 *
 * Behind HAProxy by tcp this is the gateway's own client, and does as one must (RFC 9112 §9.3.1): a request that crossed
 * the end of a kept connection is sent again. That it was not begun the first time is proven by the upstream's count.
 */
function load(t: Test, name: string, port: number, host: string, cookies: readonly string[]) {
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const lost: string[] = []
  const state = { sent: 0, answered: 0, open: 0, running: true, crossed: 0 }
  const ask = (n: number): Promise<void> =>
    new Promise((resolve) => {
      const method = n % 3 === 0 ? 'POST' : 'GET'
      const body = method === 'POST' ? `body-${n}` : ''
      const lose = (why: string): void => {
        lost.push(`${name}, ${method} ${n}: ${why}`)
        resolve()
      }
      let isAnswered = false
      const message = request({
        ...{ host: '127.0.0.1', port, path: `/trac/${name}/${n}`, method, agent },
        headers: {
          host,
          cookie: cookies[n % cookies.length],
          origin: `http://${host}`,
          ...(body === '' ? {} : { 'content-length': body.length }),
        },
      })
      message.once('error', (error) => {
        if (name !== 'tcp' || !message.reusedSocket || isAnswered) {
          lose(error.message)
          return
        }
        state.crossed++
        resolve(ask(n))
      })
      message.once('response', (answer) => {
        isAnswered = true
        let text = ''
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        answer.once('error', (error) => lose(`cut: ${error.message}`))
        answer.once('end', () => {
          if (answer.statusCode !== 200 || text !== `${method} ${body}`) {
            lose(`${answer.statusCode} ${text.slice(0, 200)}`)
          }
          state.answered++
          resolve()
        })
      })
      message.end(body)
    })
  const run = async (): Promise<void> => {
    const asked: Promise<void>[] = []
    const startedAt = performance.now()
    while (state.running) {
      const due = ((performance.now() - startedAt) / 1000) * rate
      for (; state.sent < due && state.open < maxOpen; state.sent++) {
        state.open++
        asked.push(ask(state.sent).finally(() => state.open--))
      }
      await pause(10)
    }
    await Promise.all(asked)
  }
  const running = run()
  return {
    lost,
    state,
    async end() {
      state.running = false
      await running
    },
  }
}

await t.test(
  `${rolls} rolling restarts behind HAProxy (http and tcp) and nginx lose no request`,
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const publicPort = await freePort()
    const echo = await startEcho(t)
    const redis = await startRedis(t)
    const { settings, provider, tokens } = await stage(t, {
      provider: 'scripted',
      tokens: {},
      gateway: false,
      env: { REDIS_URL: redis.url },
      upstream: { url: echo.url },
      overlay: {
        server: {
          publicUrl: `http://localhost:${publicPort}/trac`,
          timeouts: { drain: `${drain}s` },
        },
        routes: [{ name: 'all', path: '/**', access: 'authenticated' }],
        session: { store: 'redis', replicas: 'many', redis: { url: { fromEnv: 'REDIS_URL' } } },
        // A busy machine may hold up this process, where the upstream is.
        upstreams: { trac: { timeouts: { connect: '30s' } } },
      },
    })
    const ports = [await freePort(), await freePort(), await freePort()]
    const start = (port: number) => startGatewayProcess(t, { ...settings, port })
    const replicas = await Promise.all(ports.map(start))

    const fronts = { http: await freePort(), tcp: await freePort(), nginx: await freePort() }
    const files = [join(folder, 'haproxy.cfg'), join(folder, 'nginx.conf')] as const
    await writeFile(
      files[0],
      haproxyStart + haproxy('http', fronts.http, ports) + haproxy('tcp', fronts.tcp, ports),
    )
    await writeFile(files[1], nginx(folder, fronts.nginx, ports))
    t.teardown(await startServer('haproxy', ['-db', '-f', files[0]], fronts.http))
    t.teardown(await startServer('/usr/sbin/nginx', ['-c', files[1], '-p', folder], fronts.nginx))

    const { config } = loadText(configurationOf(settings, publicPort, 2), {
      env: environmentOf(settings),
    })
    const stored = openStoredSessions(config, tokens, String(provider.person['sub']))
    t.teardown(() => stored.close())
    const cookies = await stored.signIn(20, Date.now() + 3_600_000)
    const loads = Object.entries(fronts).map(([name, port]) =>
      load(t, name, port, `localhost:${publicPort}`, cookies),
    )
    const answered = () => Math.min(...loads.map(({ state }) => state.answered))
    await until(() => answered() > 20, 'the load runs')
    for (let roll = 0; roll < rolls; roll++) {
      for (const [n, port] of ports.entries()) {
        const old = replicas[n]!
        old.signal('SIGTERM')
        await until(() => old.end !== '', 'it ends')
        t.match(old.end, /^ended with 0:/)
        t.strictSame(
          old.faults.filter((line) => !line.includes('auth:healthz')),
          [],
        )
        replicas[n] = await start(port)
        // The balancers must have seen that it is back before the next one goes.
        await pause(600)
      }
    }
    const before = answered()
    await until(() => answered() > before + 20, 'the load still runs')
    for (const one of loads) await one.end()
    t.comment(`${loads.map(({ state }) => state.answered).join(', ')} requests were answered`)
    for (const { lost } of loads) t.strictSame(lost, [])
    const twice = [...echo.asked].filter(
      ([path, times]) => times > 1 && /\/(?:http|tcp|nginx)\/\d+$/.test(path),
    )
    t.strictSame(twice, [], 'what crossed the end of a connection had not been begun')
  },
)
