/** What can be run but should be thought about; `check` says it, nothing refuses it. */
import { isAdministrative, tracActions } from '../trac/permissions.js'
import { isPlainHttp } from './checks.js'
import type { Given } from './checks.js'
import { isCognitoIssuer } from './complete.js'
import { entriesOf, itemsOf } from './draft.js'
import type { Draft } from './draft.js'
import { isLoopback } from '../core/host.js'
import { suggest } from './problems.js'
import type { Report } from './problems.js'
import { actionLists } from './names.js'
import type { Config } from './schema.js'

type Advice = (draft: Draft<Config>, warn: Report, given: Given) => void

const adviseServer: Advice = ({ server, admin }, warn) => {
  const { base = '', host: ownHost } = server?.publicUrl ?? {}
  if (base !== '') {
    warn(
      ['server', 'publicUrl'],
      `the base path ${base}`,
      `a host of its own: every application on ${ownHost} receives the session cookie and passes as same-origin`,
    )
  }
  for (const [index, network] of itemsOf(server?.trustedProxies)) {
    if (network !== 'unix' && network.prefix === 0) {
      warn(
        ['server', 'trustedProxies', index],
        'everybody',
        'the networks of the proxies alone: whoever is in them can write X-Forwarded-*',
      )
    }
  }
  const address = admin?.listen
  const host = address !== undefined && 'host' in address ? address.host : undefined
  if (host !== undefined && !isLoopback(host)) {
    warn(
      ['admin', 'listen'],
      `an address that is not loopback (${host})`,
      'loopback, or a network that only probes and Prometheus reach: it asks nobody who they are',
    )
  }
}

const adviseClaims: Advice = ({ identity }, warn) => {
  const issuers = [
    [['identity', 'claims'], identity?.claims],
    ...itemsOf(identity?.additionalIssuers).map(
      ([index, { claims }]) =>
        [['identity', 'additionalIssuers', index, 'claims'], claims] as const,
    ),
  ] as const
  for (const [path, claims] of issuers) {
    for (const [use, names] of entriesOf(claims ?? {})) {
      for (const [index, name] of itemsOf(names)) {
        const changeable = name === 'preferred_username' && use === 'username'
        if (!changeable && !name.startsWith('custom:')) continue
        warn(
          [...path, use, index],
          name,
          'a claim that people cannot write themselves; check that yours can’t at this provider',
        )
      }
    }
  }
}

const adviseIdentity: Advice = ({ identity, permissions }, warn) => {
  if (identity?.username?.emailLocalPart && !identity.scopes?.includes('email')) {
    warn(['identity', 'scopes'], 'no email', 'email, since names are made of the address')
  }
  if (identity?.cognito === undefined && isCognitoIssuer(identity?.issuer ?? '')) {
    warn(
      ['identity', 'issuer'],
      'a user pool of Amazon Cognito',
      'identity.cognito: its tokens need its dialect',
    )
  }
  if (identity?.publicRefresh === true && identity.clientSecret === undefined) {
    warn(['identity', 'publicRefresh'], 'true for a public client', 'nothing: it is on anyway')
  }
  const known = Object.keys(permissions?.groups ?? {})
  for (const [client, { groups }] of entriesOf(identity?.machines)) {
    for (const [index, group] of itemsOf(groups)) {
      if (known.includes(group)) continue
      warn(
        ['identity', 'machines', client, 'groups', index],
        group,
        'a group of permissions.groups; this one grants nothing',
      )
    }
  }
}

const adviseSession: Advice = ({ session }, warn, given) => {
  const redis = given(['session', 'redis'])
  if (session?.store === 'cookie') {
    warn(
      ['session', 'store'],
      'cookie: right for one process',
      'redis for more: else renewals of a provider that rotates refresh tokens end each other’s sessions, and each process counts its own rate limits',
    )
  }
  if (redis && session?.store === 'cookie') {
    warn(['session', 'redis'], 'a Redis that nothing uses', 'session.store: redis beside it')
  }
  if (session?.store === 'redis' && session.revocationFile !== undefined) {
    warn(
      ['session', 'revocationFile'],
      'a file beside Redis',
      'none: Redis keeps the revocations, and the file is not read',
    )
  }
  if (session?.store === 'cookie' && session.revocationFile === undefined) {
    warn(
      ['session', 'revocationFile'],
      'revocations in memory only',
      'a revocationFile: else a copied cookie or token of somebody who signed out works again after a restart, until it ends',
    )
  }
}

const advisePermissions: Advice = (draft, warn) => {
  const seen = new Set<string>()
  for (const [path, list] of actionLists(draft)) {
    for (const [index, action] of itemsOf(list)) {
      if (Object.hasOwn(tracActions, action) || seen.has(action)) continue
      seen.add(action)
      const near = suggest(action, Object.keys(tracActions))
      warn(
        [...path, index],
        `${action}, which Trac itself does not know`,
        near === undefined ? 'a plugin that knows it' : `a plugin that knows it, or ${near}`,
      )
    }
  }
  for (const everybody of ['anonymous', 'authenticated'] as const) {
    for (const [index, action] of itemsOf(draft.permissions?.[everybody])) {
      if (!isAdministrative(action)) continue
      warn(['permissions', everybody, index], `${action} for everybody`, 'it for a group only')
    }
  }
  if (draft.permissions?.fromClaims === 'all') {
    warn(
      ['permissions', 'fromClaims'],
      'all: a claim can make an administrator',
      'nonAdmin, or a list, unless nobody else can write that claim',
    )
  }
}

const adviseUpstreams: Advice = ({ upstreams }, warn) => {
  for (const [name, { url, signingKeys, insecureHttp }] of entriesOf(upstreams)) {
    if (name === 'trac' && signingKeys?.length === 0) {
      warn(
        ['upstreams', name],
        'no signingKeys',
        'a key: without a signature the bridge in Trac refuses every request',
      )
    }
    if (insecureHttp === true && isPlainHttp(url)) {
      warn(
        ['upstreams', name, 'insecureHttp'],
        `plain http:// to ${url.host}`,
        'https://, unless nobody else can listen or speak on the way',
      )
    }
  }
}

const adviseRoutes: Advice = ({ routes, server }, warn) => {
  const base = server?.publicUrl?.base ?? ''
  for (const [index, route] of itemsOf(routes)) {
    const at = ['routes', index]
    const { path = '', methods, query } = route
    if (base !== '' && (path === base || path.startsWith(`${base}/`))) {
      warn([...at, 'path'], path, `the path below ${base}, since the base path is not part of it`)
    }
    if (/^\/(?:auth(?:\/|$)|(?:login|logout)\/?$)/.test(path)) {
      warn([...at, 'path'], path, 'another path: these are our own and never come to a route')
    }
    const never = methods?.filter((method) => method !== 'GET' && method !== 'HEAD') ?? []
    if (query !== undefined && never.length > 0 && never.length < (methods?.length ?? 0)) {
      warn([...at, 'methods'], `${never.join(', ')} with query`, 'GET and HEAD: no other can match')
    }
    if (methods?.includes('OPTIONS') === true && route.upstream === 'trac') {
      warn([...at, 'methods'], 'OPTIONS', 'nothing: OPTIONS never goes to Trac')
    }
    if (route.access === 'deny' && route.require !== undefined) {
      warn([...at, 'require'], 'require on a closed route', 'nothing: nobody comes in')
    }
  }
}

const advices: readonly Advice[] = [
  adviseServer,
  adviseClaims,
  adviseIdentity,
  adviseSession,
  advisePermissions,
  adviseUpstreams,
  adviseRoutes,
]

/** Says everything worth a thought about the draft. */
export function findWarnings(draft: Draft<Config>, warn: Report, given: Given): void {
  for (const advice of advices) advice(draft, warn, given)
}
