/** What `init` finds out by itself: about the provider, Trac's base path, and whether a front proxy ends TLS. */
import { readFileSync } from 'node:fs'
import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { tellFault } from '../../app/tell-fault.js'
import { realTimers } from '../../core/clock.js'
import type { Milliseconds, Now } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import { isLoopback } from '../../core/host.js'
import { createEndpointFinder } from '../../oidc/provider-endpoints.js'
import { createProviderFetch } from '../../oidc/provider-fetch.js'
import { readIni } from '../../trac/ini.js'
import type { Ini } from '../../trac/ini.js'
import type { Answers } from './answers.js'

/** What was found. */
export interface Found {
  /** As the provider spells it. */
  readonly issuer: string
  /** Where Cognito's sign-in pages are. */
  readonly domain: string | undefined
  readonly scopes: readonly string[]
  /** The signature algorithm to allow. */
  readonly algorithm: string
  /** Who may say how a visitor came; undefined: nobody needs to. */
  readonly trustedProxies: readonly string[] | undefined
  /** Trac's settings, where its environment is here. */
  readonly ini: Ini | undefined
  /** What a person should know of it. */
  readonly notes: readonly string[]
}

/** How long a server may take that is only looked at. */
const timeout: Milliseconds = 5000

const usualScopes = ['openid', 'email', 'profile']

const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []

/** Why a page can't be had, or its status. */
async function statusOf(url: string): Promise<number | Error> {
  try {
    const signal = AbortSignal.timeout(timeout)
    const answer = await fetch(url, { redirect: 'manual', signal })
    await answer.body?.cancel()
    return answer.status
  } catch (fault) {
    return fault instanceof Error ? fault : new Error(String(fault))
  }
}

type ProviderFound = Pick<Found, 'issuer' | 'domain' | 'scopes' | 'algorithm' | 'notes'>

/** Reads the discovery document; where it names itself otherwise, that name is the issuer. */
async function findProvider({ provider }: Answers, now: Now): Promise<ProviderFound> {
  const notes: string[] = []
  const discover = (issuer: string) =>
    createEndpointFinder({
      issuer,
      cognitoDomain: undefined,
      insecure: issuer.startsWith('http:'),
      fetch: createProviderFetch(realTimers, now),
      now,
      random: Math.random,
    })()
  let { issuer } = provider
  const unknown = { issuer, domain: undefined, scopes: usualScopes, algorithm: 'RS256' }
  try {
    const endpoints = await discover(issuer).catch((fault: unknown) => {
      const named = fault instanceof GatewayError ? fault.details.found?.['issuer'] : undefined
      if (typeof named !== 'string') throw fault
      notes.push(`the provider spells its issuer ${named}: that is what was written`)
      issuer = named
      return discover(named)
    })
    const { server, authorization } = endpoints
    const offered = textsOf(server['scopes_supported'])
    const signs = textsOf(server['id_token_signing_alg_values_supported'])
    const algorithms = signs.filter((name) => /^(?:RS|PS|ES)(?:256|384|512)$|^Ed/.test(name))
    const { origin, hostname } = new URL(authorization)
    if (provider.kind === 'cognito' && !authorization.includes('/oauth2/')) {
      notes.push('the user pool has no domain: make one there, and write identity.cognito.domain')
    }
    return {
      issuer,
      domain: provider.kind === 'cognito' ? (isLoopback(hostname) ? origin : hostname) : undefined,
      scopes: usualScopes.filter((name) => offered.length === 0 || offered.includes(name)),
      algorithm: algorithms.includes('RS256') ? 'RS256' : (algorithms[0] ?? 'RS256'),
      notes,
    }
  } catch (fault) {
    const domain = provider.kind === 'cognito' ? '; write identity.cognito.domain' : ''
    notes.push(`the provider can’t be asked: ${tellFault(fault) ?? String(fault)}${domain}`)
    return { ...unknown, notes }
  }
}

/** Whether an address is one of this machine's. */
async function isHere(hostname: string): Promise<boolean> {
  const found = await lookup(hostname, { all: true }).catch(() => [])
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return found.some(({ address }) => own.some((one) => one.address === address))
}

/** Who ends TLS in front, by what answers at the public address. */
async function findFront({ publicUrl }: Answers): Promise<Pick<Found, 'trustedProxies' | 'notes'>> {
  const { hostname, secure, url } = publicUrl
  if (!secure) return { trustedProxies: undefined, notes: [] }
  const here = ['127.0.0.1', '::1']
  const answer = await statusOf(`${url}/auth/healthz`)
  if (answer instanceof Error) {
    const why = tellFault(answer) ?? answer.message
    const note = `nothing answers at ${url} yet (${why}): a proxy on this machine was assumed to end TLS`
    return { trustedProxies: here, notes: [note] }
  }
  if (await isHere(hostname)) {
    return { trustedProxies: here, notes: ['a proxy on this machine ends TLS'] }
  }
  const [first] = await lookup(hostname, { all: true }).catch(() => [])
  const address = first?.address ?? '127.0.0.1'
  const note = `a proxy at ${address} ends TLS: if it reaches the gateway from another address, correct server.trustedProxies`
  return { trustedProxies: [address], notes: [note] }
}

function readSettings({ tracEnv }: Answers): Pick<Found, 'ini' | 'notes'> {
  if (tracEnv === undefined) return { ini: undefined, notes: [] }
  const file = join(tracEnv, 'conf', 'trac.ini')
  try {
    return { ini: readIni(readFileSync(file, 'utf8'), '3'), notes: [] }
  } catch {
    return { ini: undefined, notes: [`${file} can’t be read: is that a Trac environment?`] }
  }
}

/** A Trac at the root must be told of the base path. */
async function findBasePath({ trac, publicUrl }: Answers, ini: Ini | undefined) {
  if (trac.kind !== 'tcp') return []
  const { base } = publicUrl
  const written = ini?.get('trac')?.get('base_url') ?? ''
  const others = ['', URL.canParse(written) ? new URL(written).pathname.replace(/\/$/, '') : '']
  const statuses = new Map<string, number | Error>()
  for (const path of new Set([base, ...others])) {
    statuses.set(path, await statusOf(`${trac.url}${path}/about`))
  }
  const at = (path: string) => statuses.get(path)
  const answer = at(base)
  if (answer instanceof Error) {
    return [`nothing answers at ${trac.url}: start Trac there (${tellFault(answer)})`]
  }
  if (answer !== 404) return []
  const found = [...statuses.keys()].find((path) => path !== base && at(path) !== 404)
  return found === undefined
    ? [`Trac knows no page below ${base || '/'}: start it with the base path of the public address`]
    : [
        `Trac is below ${found || '/'}, and browsers are to see ${base || '/'}: start it with ${
          base === '' ? 'no base path' : `--base-path=${base}`
        }`,
      ]
}

/** Finds it all out; what can't be found is told, and written as it usually is. */
export async function findOut(answers: Answers, now: Now): Promise<Found> {
  const provider = await findProvider(answers, now)
  const front = await findFront(answers)
  const settings = readSettings(answers)
  const base = await findBasePath(answers, settings.ini)
  const notes = [...provider.notes, ...front.notes, ...settings.notes, ...base]
  return { ...provider, ...front, ...settings, notes }
}
