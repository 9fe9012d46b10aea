/** What no single key can tell: the rules between keys of gateway.yaml. Each break of one is a problem. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { entriesOf, itemsOf } from './draft.js'
import type { Draft } from './draft.js'
import { isLoopback, isLoopbackForBrowsers, parseUrl } from '../core/host.js'
import { forbiddenNames } from './names.js'
import { foldName, judgeName } from '../trac/user-names.js'
import { suggest } from './problems.js'
import type { Path, Report } from './problems.js'
import type { Config, Pem } from './schema.js'
import type { TcpAddress, UpstreamAddress } from '../core/upstream-address.js'

/** Whether a key stands in the file, rather than being a default. */
export type Given = (path: Path) => boolean

type Check = (draft: Draft<Config>, report: Report, given: Given) => void

const checkHttps: Check = ({ server }, report, given) => {
  const { hostname, secure } = server?.publicUrl ?? {}
  if (hostname === undefined) return
  if (secure === false) {
    if (!isLoopbackForBrowsers(hostname)) {
      report(
        ['server', 'publicUrl'],
        `http:// on ${hostname}`,
        'https://, since only a loopback host may go without',
      )
    } else if (server?.tls !== undefined) {
      report(['server', 'tls'], 'a certificate with an http:// publicUrl', 'https:// in publicUrl')
    }
    return
  }
  const proxies = server?.trustedProxies
  if (!given(['server', 'tls']) && proxies?.length === 0) {
    report(
      ['server'],
      'https:// in publicUrl and nobody who does TLS',
      'server.tls (a certificate of our own), or server.trustedProxies (who does TLS in front)',
    )
  }
  const onSocket = server?.listen !== undefined && 'path' in server.listen
  if (!given(['server', 'tls']) && onSocket && proxies?.length && !proxies.includes('unix')) {
    report(
      ['server', 'trustedProxies'],
      'no unix, while listen is a Unix socket',
      'unix, since peers on the socket have no address',
    )
  }
}

const checkListeners: Check = ({ server, admin }, report) => {
  const [one, two] = [server?.listen, admin?.listen]
  if (one === undefined || two === undefined) return
  const same =
    'path' in one && 'path' in two
      ? one.path === two.path
      : 'port' in one &&
        'port' in two &&
        one.port === two.port &&
        one.port !== 0 &&
        one.host === two.host
  if (same) {
    report(['admin', 'listen'], 'the address of server.listen', 'an address of its own, not public')
  }
}

const checkForwardAuth: Check = ({ server }, report) => {
  if (server?.forwardAuth !== undefined && server.trustedProxies?.length === 0) {
    report(
      ['server', 'forwardAuth'],
      `${server.forwardAuth} without trustedProxies`,
      'server.trustedProxies, since only they may ask /auth/verify',
    )
  }
}

const checkCertificate: Check = ({ server }, report) => {
  const { certificate, key } = server?.tls ?? {}
  const chain = certificate?.value === undefined ? undefined : readPem(certificate, 'certificate')
  const secret = key?.value === undefined ? undefined : readPem(key, 'key')
  if (chain === null) {
    report(['server', 'tls', 'certificate'], 'no certificate', 'a certificate chain as PEM')
  }
  if (secret === null) {
    report(['server', 'tls', 'key'], 'no private key', 'a private key as PEM, without passphrase')
  }
  if (chain instanceof X509Certificate && secret && !(secret instanceof X509Certificate)) {
    if (!chain.checkPrivateKey(secret)) {
      report(['server', 'tls', 'key'], 'the key of another certificate', 'the key of certificate')
    }
  }
}

/** The parsed text; null when it is none. */
function readPem(pem: Draft<Pem>, kind: 'certificate' | 'key') {
  try {
    return kind === 'key' ? createPrivateKey(pem.value ?? '') : new X509Certificate(pem.value ?? '')
  } catch {
    return null
  }
}

/** Whether a provider may be reached there. */
function mayBePlain(url: URL, identity: Draft<Config>['identity']): boolean {
  const named = (identity?.insecureHttpHosts ?? []).map((host) => host?.toLowerCase())
  return url.protocol === 'https:' || isLoopback(url.hostname) || named.includes(url.hostname)
}

const wantedHttps = 'https://; http:// only on loopback or a host of identity.insecureHttpHosts'

const checkIssuer: Check = ({ identity }, report, given) => {
  if (!given(['identity', 'issuer']) && !given(['identity', 'cognito'])) {
    report(['identity'], 'no provider', 'identity.issuer, or identity.cognito')
  }
  const { cognito } = identity ?? {}
  const origins = [
    [['identity', 'issuer'], identity?.issuer],
    [['identity', 'cognito', 'domain'], cognito?.domain],
    ...itemsOf(identity?.additionalIssuers).map(
      ([index, { issuer }]) =>
        [['identity', 'additionalIssuers', index, 'issuer'], issuer] as const,
    ),
  ] as const
  for (const [path, text] of origins) {
    const url = parseUrl(text ?? '')
    if (url?.protocol === 'http:' && !mayBePlain(url, identity)) {
      report(path, `http:// on ${url.hostname}`, wantedHttps)
    }
  }
  if (
    cognito?.region &&
    cognito.userPoolId &&
    !cognito.userPoolId.startsWith(`${cognito.region}_`)
  ) {
    report(
      ['identity', 'cognito', 'userPoolId'],
      `a user pool of another region than ${cognito.region}`,
      `${cognito.region}_…`,
    )
  }
}

const checkAdditionalIssuers: Check = ({ identity }, report) => {
  const issuers = new Set([identity?.issuer])
  const prefixes: string[] = []
  for (const [index, { issuer, prefix }] of itemsOf(identity?.additionalIssuers)) {
    const path = ['identity', 'additionalIssuers', index]
    if (issuer !== undefined && issuers.has(issuer)) {
      report([...path, 'issuer'], 'an issuer that is named already', 'another issuer')
    }
    issuers.add(issuer)
    if (prefix === undefined) continue
    const folded = foldName(prefix)
    const other = prefixes.find((one) => one.startsWith(folded) || folded.startsWith(one))
    if (other !== undefined) {
      report([...path, 'prefix'], 'a prefix that begins like another', 'one that no name shares')
    }
    prefixes.push(folded)
  }
}

const checkClients: Check = ({ identity }, report) => {
  const people = new Set([identity?.clientId, ...(identity?.acceptClients ?? [])])
  for (const client of Object.keys(identity?.machines ?? {})) {
    if (people.has(client)) {
      report(
        ['identity', 'machines', client],
        'a client that people sign in with (clientId or acceptClients)',
        'a client in one of the two, since the client decides whether a token is a machine’s',
      )
    }
  }
  if (identity?.scopes && !identity.scopes.includes('openid')) {
    report(['identity', 'scopes'], 'no openid', 'openid among the scopes, else no ID token comes')
  }
}

const checkNames: Check = (draft, report) => {
  const { identity } = draft
  const forbidden = forbiddenNames(draft)
  const nameCase = identity?.username?.case ?? 'keep'
  const taken = new Map<string, string>()
  const named = [
    ...entriesOf(identity?.username?.aliases).map(
      ([sub, name]) => [['identity', 'username', 'aliases', sub], name] as const,
    ),
    ...entriesOf(identity?.machines).map(
      ([client, { username }]) => [['identity', 'machines', client, 'username'], username] as const,
    ),
  ]
  for (const [path, name] of named) {
    if (name === undefined) continue
    const judged = judgeName(name, nameCase, forbidden)
    if ('fault' in judged) report(path, `a name that ${judged.fault}`, 'a name that Trac can use')
    const folded = foldName(name)
    const before = taken.get(folded)
    if (before !== undefined) {
      report(path, `the name of ${before} again`, 'a name of its own, whatever the case')
    }
    taken.set(folded, path[1] === 'machines' ? `the machine ${path[2]}` : path[3])
  }
}

const checkGroups: Check = (draft, report, given) => {
  if (draft.identity?.claims?.groups?.length !== 0) return
  const asking = itemsOf(draft.routes).find(([, { require }]) => require?.anyGroup !== undefined)
  if (asking === undefined && !given(['permissions', 'groups'])) return
  report(
    ['identity', 'claims', 'groups'],
    'no claim, while groups are asked for',
    'the claim that holds the groups, such as cognito:groups',
  )
}

const checkSession: Check = ({ session }, report, given) => {
  const redis = given(['session', 'redis'])
  if (session?.store === 'redis' && !redis) {
    report(['session', 'store'], 'redis without its address', 'session.redis.url')
  }
  if (session?.replicas === 'many' && session.store !== 'redis') {
    report(
      ['session', 'replicas'],
      'many with sessions in the cookie',
      'session.store: redis, since replicas would end each other’s sessions at a renewal',
    )
  }
  const { idleTimeout, maxAge } = session ?? {}
  if (idleTimeout !== undefined && maxAge !== undefined && idleTimeout > maxAge) {
    report(['session', 'idleTimeout'], 'more than session.maxAge', 'at most session.maxAge')
  }
}

const checkSecrets: Check = ({ session, upstreams }, report) => {
  const owners = new Map<string, string>()
  const use = (secret: string | undefined, owner: string, path: Path): void => {
    if (secret === undefined) return
    const before = owners.get(secret)
    if (before !== undefined) {
      report(path, `the same secret as ${before}`, 'a secret of its own')
    }
    owners.set(secret, owner)
  }
  for (const [index, secret] of itemsOf(session?.secrets)) {
    use(secret, 'another of session.secrets', ['session', 'secrets', index])
  }
  for (const [name, { signingKeys }] of entriesOf(upstreams)) {
    const ids = new Set<string>()
    for (const [index, { id, secret }] of itemsOf(signingKeys)) {
      const path = ['upstreams', name, 'signingKeys', index]
      use(secret, `another of upstreams.${name}`, [...path, 'secret'])
      if (id === undefined) continue
      if (ids.has(id)) report([...path, 'id'], `${id} a second time`, 'an id of its own')
      ids.add(id)
    }
  }
}

/** Whether requests go there in the clear, over a network. */
export function isPlainHttp(url: Draft<UpstreamAddress> | undefined): url is TcpAddress {
  return url?.kind === 'tcp' && url.tls === false && !isLoopback(url.host ?? '')
}

const checkUpstreams: Check = ({ upstreams }, report, given) => {
  if (upstreams !== undefined && given(['upstreams']) && !('trac' in upstreams)) {
    report(['upstreams'], Object.keys(upstreams).join(', ') || 'none', 'one named trac')
  }
  for (const [name, { url, insecureHttp }] of entriesOf(upstreams)) {
    if (isPlainHttp(url) && insecureHttp === false) {
      report(
        ['upstreams', name, 'url'],
        `http:// on ${url.host}`,
        'https://, loopback or a Unix socket; or insecureHttp: true if nobody can listen there',
      )
    }
  }
}

const checkRoutes: Check = ({ routes, upstreams }, report) => {
  const names = new Set<string>()
  for (const [index, route] of itemsOf(routes)) {
    const path = ['routes', index]
    const { name, upstream } = route
    if (name !== undefined) {
      if (names.has(name)) report([...path, 'name'], `${name} a second time`, 'a unique name')
      if (name === 'none' || name.startsWith('trac:')) {
        report([...path, 'name'], name, 'another name: none and trac:… are our own')
      }
      names.add(name)
    }
    if (upstreams !== undefined && upstream !== undefined && !(upstream in upstreams)) {
      const known = Object.keys(upstreams)
      const near = suggest(upstream, known)
      const hint = near === undefined ? '' : ` (did you mean ${near}?)`
      report([...path, 'upstream'], upstream, `one of ${known.join(', ')}${hint}`)
    }
    if (route.access === 'public' && route.require !== undefined) {
      report([...path, 'require'], 'require on a public route', 'access: optional or authenticated')
    }
    if (route.require !== undefined && Object.values(route.require).every((r) => r === undefined)) {
      report([...path, 'require'], 'nothing required', 'one of its keys, or no require')
    }
    const readable = route.methods?.some((method) => method === 'GET' || method === 'HEAD') ?? true
    if (route.query !== undefined && !readable) {
      report(
        [...path, 'query'],
        `query with ${route.methods?.join(', ')}`,
        'GET or HEAD among the methods, since no other method is judged by its query',
      )
    }
  }
}

const checks: readonly Check[] = [
  checkHttps,
  checkListeners,
  checkForwardAuth,
  checkCertificate,
  checkIssuer,
  checkAdditionalIssuers,
  checkClients,
  checkNames,
  checkGroups,
  checkSession,
  checkSecrets,
  checkUpstreams,
  checkRoutes,
]

/** Reports every rule that the draft breaks. */
export function findProblems(draft: Draft<Config>, report: Report, given: Given): void {
  for (const check of checks) check(draft, report, given)
}
