/** The proxies of the bench: each with the same upstream behind it and, where it checks anything, the same provider. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { learnTracGroups } from '../../src/config/topics/permissions.js'
import { cacheFolder } from '../../src/demo/trac.js'
import { createCertificate } from '../fixtures/certificate.js'
import { secrets } from '../fixtures/config.js'
import { freePort } from '../fixtures/ports.js'
import { childrenOf, otherCore, proxyCore } from './machine.js'

/** What lets a request in: nothing, a Bearer token, a session. */
export type Credential = 'none' | 'bearer' | 'session'

/** A proxy that runs. */
export interface Contender {
  readonly name: string
  /** `http://127.0.0.1:PORT`, or with https. */
  readonly origin: string
  readonly port: number
  /** What it can check; it lets pass whatever comes if that is `none` alone. */
  readonly checks: readonly Credential[]
  /** Its processes that do the work. */
  pids(): readonly number[]
}

/** What they share. */
export interface Setting {
  readonly folder: string
  readonly issuer: string
  /** The same issuer as the domain of a user pool. */
  readonly poolOrigin: string
  readonly clientId: string
  readonly clientSecret: string
  /** The key that signs tokens: its name, and itself as PEM. */
  readonly keyId: string
  readonly publicKey: string
  readonly upstreamPort: number
}

const children: ChildProcess[] = []
const environment = { PATH: `${process.env['PATH']}:/usr/sbin:/sbin`, HOME: process.env['HOME'] }

/** Flags of Node that the unit of systemd and the image start the gateway with. */
export const shippedFlags = [
  '--single-threaded-gc',
  '--no-allocation-site-pretenuring',
  '--max-inlined-bytecode-size-cumulative=3680',
  '--expose-gc',
]

/** Further flags for the gateway's process, such as `--cpu-prof --cpu-prof-dir=DIR`. */
const gatewayFlags = (process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter(Boolean)

/** Starts a program on a core; `taskset` becomes that program. */
function run(core: string, words: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn('taskset', ['-c', core, ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...environment, ...env },
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)))
  child.once('exit', (code) => {
    if (code !== null && code !== 0) process.stderr.write(`${words[0]} ended:\n${said}\n`)
  })
  children.push(child)
  return child
}

/** Ends all that was started. */
export function stopAll(): void {
  for (const child of children) child.kill()
}

/** Waits until a port answers anything at all. */
async function untilAnswers(origin: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    try {
      await fetch(origin, { redirect: 'manual' })
      return
    } catch (error) {
      // A certificate that nobody signed is an answer.
      if (String((error as Error).cause).includes('self-signed')) return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  throw new Error(`${origin} does not answer`)
}

function fileOf({ folder }: Pick<Setting, 'folder'>, name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

function certificateOf(setting: Pick<Setting, 'folder'>): {
  chain: string
  key: string
  both: string
} {
  const { certificate, key } = createCertificate(['localhost'])
  return {
    chain: fileOf(setting, 'chain.pem', certificate),
    key: fileOf(setting, 'key.pem', key),
    both: fileOf(setting, 'both.pem', certificate + key),
  }
}

/** Started as root, nginx would serve as a user who cannot read the bench's own folder. */
const nginxUser = process.getuid?.() === 0 ? 'user root; ' : ''

const nginxHead = (
  folder: string,
) => `${nginxUser}worker_processes 1; daemon off; pid ${folder}/nginx.pid;
error_log /dev/null; events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path ${folder}/b;
 proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;`

/** The upstream: nginx, 2 KiB for every address, and 256 KiB for one. @returns its port */
export async function startUpstream(folder: string): Promise<number> {
  const port = await freePort()
  const own = join(folder, 'upstream')
  mkdirSync(own)
  writeFileSync(join(own, 'large'), Buffer.alloc(262_144, 'x'))
  writeFileSync(
    join(own, 'nginx.conf'),
    `${nginxHead(own)} sendfile on; default_type text/plain;
 server { listen 127.0.0.1:${port}; location = /wiki/Large { alias ${own}/large; }
  location / { return 200 "${'x'.repeat(2048)}"; } } }`,
  )
  run(otherCore, ['nginx', '-c', join(own, 'nginx.conf')])
  await untilAnswers(`http://127.0.0.1:${port}/`)
  return port
}

/** The upstream by itself. */
export function direct(port: number): Contender {
  const origin = `http://127.0.0.1:${port}`
  return { name: 'no proxy', origin, port, checks: ['none'], pids: () => [] }
}

export async function startNginx(setting: Setting, tls: boolean): Promise<Contender> {
  const port = await freePort()
  const folder = join(setting.folder, tls ? 'nginx-tls' : 'nginx')
  mkdirSync(folder)
  const { chain, key } = certificateOf(setting)
  const listen = tls ? 'ssl' : ''
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${nginxHead(folder)} ssl_certificate ${chain}; ssl_certificate_key ${key};
 upstream u { server 127.0.0.1:${setting.upstreamPort}; keepalive 64; keepalive_requests 100000000; }
 server { listen 127.0.0.1:${port} ${listen}; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; } } }`,
  )
  const child = run(proxyCore, ['nginx', '-c', join(folder, 'nginx.conf')])
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
  await untilAnswers(origin)
  return { name: 'nginx', origin, port, checks: ['none'], pids: () => childrenOf(child.pid!) }
}

/** HAProxy: signature, algorithm, issuer, audience and end of the token (2.5 or later). */
export async function startHaproxy(setting: Setting, tls: boolean): Promise<Contender> {
  const port = await freePort()
  const { both } = certificateOf(setting)
  const key = fileOf(setting, 'public.pem', setting.publicKey)
  const config = fileOf(
    setting,
    `haproxy-${port}.cfg`,
    `global
  nbthread 1
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:${port}${tls ? ` ssl crt ${both}` : ''}
  http-request set-var(txn.jwt) http_auth_bearer
  http-request set-var(txn.end) var(txn.jwt),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.jwt),jwt_header_query('$.alg') -m str RS256 }
  http-request deny deny_status 401 unless { var(txn.jwt),jwt_payload_query('$.iss') -m str ${setting.issuer} }
  http-request deny deny_status 401 unless { var(txn.jwt),jwt_payload_query('$.aud') -m str ${setting.clientId} }
  http-request deny deny_status 401 if { var(txn.end),sub(txn.now) -m int lt 0 }
  http-request deny deny_status 401 unless { var(txn.jwt),jwt_verify("RS256","${key}") -m int 1 }
  default_backend b
backend b
  http-reuse always
  server s 127.0.0.1:${setting.upstreamPort}
`,
  )
  const child = run(proxyCore, ['haproxy', '-f', config, '-db'])
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
  await untilAnswers(origin)
  return {
    name: 'HAProxy, `jwt_verify`',
    origin,
    port,
    checks: ['bearer'],
    pids: () => [child.pid!],
  }
}

/** Apache with mod_auth_openidc: Bearer below `/`, sessions below `/session`. */
export async function startApache(setting: Setting): Promise<Contender> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const modules = '/usr/lib/apache2/modules'
  const key = fileOf(setting, 'apache-public.pem', setting.publicKey)
  const upstream = `http://127.0.0.1:${setting.upstreamPort}`
  const load = [
    ...['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'proxy', 'proxy_http'],
    'auth_openidc',
  ].map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`)
  const config = fileOf(
    setting,
    'apache.conf',
    `${load.join('\n')}
ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${setting.folder}/apache.pid
ErrorLog ${setting.folder}/apache.log
StartServers 1
ServerLimit 1
ThreadLimit 256
ThreadsPerChild 256
MaxRequestWorkers 256
MaxKeepAliveRequests 0
KeepAliveTimeout 60
OIDCOAuthVerifyCertFiles ${setting.keyId}#${key}
OIDCOAuthRemoteUserClaim sub
OIDCProviderMetadataURL ${setting.issuer}/.well-known/openid-configuration
OIDCClientID ${setting.clientId}
OIDCClientSecret ${setting.clientSecret}
OIDCRedirectURI ${origin}/session/callback
OIDCCryptoPassphrase ${randomBytes(16).toString('hex')}
OIDCPKCEMethod S256
ProxyPass /session ${upstream}/wiki keepalive=On
ProxyPass / ${upstream}/ keepalive=On
<Location />
  AuthType oauth20
  Require valid-user
</Location>
<Location /session>
  AuthType openid-connect
  Require valid-user
</Location>
`,
  )
  const child = run(proxyCore, ['apache2', '-D', 'FOREGROUND', '-f', config])
  await untilAnswers(origin)
  return {
    name: 'Apache, mod_auth_openidc',
    origin,
    port,
    checks: ['bearer', 'session'],
    pids: () => childrenOf(child.pid!),
  }
}

export async function startOauth2Proxy(setting: Setting, tls: boolean): Promise<Contender> {
  const port = await freePort()
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
  const { chain, key } = certificateOf(setting)
  const child = run(proxyCore, [
    join(cacheFolder(), 'oauth2-proxy/oauth2-proxy'),
    '--provider=oidc',
    `--oidc-issuer-url=${setting.issuer}`,
    `--client-id=${setting.clientId}`,
    `--client-secret=${setting.clientSecret}`,
    `--cookie-secret=${randomBytes(16).toString('hex')}`,
    `--cookie-secure=${tls}`,
    '--code-challenge-method=S256',
    '--email-domain=*',
    '--skip-jwt-bearer-tokens=true',
    '--skip-provider-button=true',
    `--redirect-url=${origin}/oauth2/callback`,
    `--upstream=http://127.0.0.1:${setting.upstreamPort}/`,
    ...(tls
      ? [
          `--https-address=127.0.0.1:${port}`,
          '--http-address=',
          `--tls-cert-file=${chain}`,
          `--tls-key-file=${key}`,
        ]
      : [`--http-address=127.0.0.1:${port}`]),
  ])
  await untilAnswers(origin)
  return {
    name: 'oauth2-proxy',
    origin,
    port,
    checks: ['bearer', 'session'],
    pids: () => [child.pid!],
  }
}

/** The libraries that the gateway is built on, without anything of the gateway. */
export async function startBare(
  setting: Pick<Setting, 'folder' | 'upstreamPort'>,
  tls: boolean,
  core = proxyCore,
): Promise<Contender> {
  const port = await freePort()
  const { chain, key } = certificateOf(setting)
  const program = fileURLToPath(new URL('./bare.js', import.meta.url))
  const upstream = `http://127.0.0.1:${setting.upstreamPort}`
  const child = run(core, [
    process.execPath,
    program,
    String(port),
    upstream,
    ...(tls ? [chain, key] : []),
  ])
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
  await untilAnswers(origin)
  return { name: bareName, origin, port, checks: ['none'], pids: () => [child.pid!] }
}

/** What all others are compared with. */
export const bareName = 'Fastify + http-proxy'

const ownMain = fileURLToPath(new URL('../../src/main.js', import.meta.url))

/** The gateway as it is started anywhere: signatures, both log lines, metrics, the built-in policy. */
export async function startGateway(
  setting: Setting,
  tls: boolean,
  { main = ownMain, flags = gatewayFlags }: { main?: string; flags?: readonly string[] } = {},
): Promise<Contender> {
  const port = await freePort()
  const adminPort = await freePort()
  const origin = `${tls ? 'https' : 'http'}://localhost:${port}`
  const { chain, key } = certificateOf(setting)
  const signingKeys = [{ id: 'k1', secret: { fromEnv: 'SIGNING' } }]
  const config = fileOf(
    setting,
    `gateway-${port}.yaml`,
    JSON.stringify({
      server: {
        publicUrl: origin,
        listen: `127.0.0.1:${port}`,
        ...(tls ? { tls: { certificate: { fromFile: chain }, key: { fromFile: key } } } : {}),
      },
      admin: { listen: `127.0.0.1:${adminPort}` },
      identity: {
        cognito: {
          region: 'us-east-1',
          userPoolId: 'us-east-1_Example',
          domain: setting.poolOrigin,
        },
        issuer: setting.issuer,
        clientId: setting.clientId,
        clientSecret: { fromEnv: 'CLIENT' },
      },
      session: { secrets: [{ fromEnv: 'SESSION' }] },
      permissions: { groups: learnTracGroups, anonymous: ['WIKI_VIEW'] },
      upstreams: {
        // All load comes from one address, which has a quarter of the places.
        trac: {
          url: `http://127.0.0.1:${setting.upstreamPort}`,
          signingKeys,
          maxConnections: 256,
        },
      },
    }),
  )
  const child = run(
    proxyCore,
    [process.execPath, ...shippedFlags, ...flags, main, 'start', '-c', config],
    {
      ...secrets,
      CLIENT: setting.clientSecret,
    },
  )
  await untilAnswers(origin)
  const readiness = `http://127.0.0.1:${adminPort}/readyz`
  while (!(await fetch(readiness)).ok) await new Promise((resolve) => setTimeout(resolve, 100))
  const checks = ['none', 'bearer', 'session'] as const
  return { name: gatewayName, origin, port, checks, pids: () => [child.pid!] }
}

export const gatewayName = '**trac-gateway**'

/** Those that Node runs. */
export const onNode: ReadonlySet<string> = new Set([bareName, gatewayName])
