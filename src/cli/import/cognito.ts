/** LearnTrac's `[cognito]` section as keys of `gateway.yaml`. */
import type { Facts, Left } from './facts.js'
import { isYes, toList } from '../../trac/ini.js'

/** A route made of one of `api_paths`. */
export interface ApiRoute {
  readonly name: string
  readonly path: string
  readonly access: 'authenticated' | 'optional'
}

/** What the section says; undefined is what it does not say. */
export interface Cognito {
  readonly clientId: string | undefined
  readonly region: string | undefined
  readonly userPoolId: string | undefined
  /** A prefix or a host name. */
  readonly domain: string | undefined
  /** `identity.keys.maxAge`. */
  readonly keysMaxAge: string | undefined
  readonly routes: readonly ApiRoute[]
  readonly left: readonly Left[]
}

/** What each option must look like to be written down as it is. */
const forms: Readonly<Record<string, RegExp>> = {
  client_id: /^[\x21-\x7e]+$/,
  region: /^[a-z0-9-]+$/,
  user_pool_id: /^[a-z0-9-]+_[A-Za-z0-9]+$/,
  domain: /^[A-Za-z0-9.-]+$/,
  jwks_cache_ttl: /^\d{1,7}$/,
}

/** `/api/*`, `/api/`, `^/api/.*` and `/api` are one thing; undefined for any other pattern. */
function toPattern(text: string): string | undefined {
  const path = text.replace(/^\^/, '').replace(/(?:\/?(?:\(?\.?\*\)?)?\$?)$/, '')
  return /^(?:\/[A-Za-z0-9._~-]+)+$/.test(path) ? `${path}/**` : undefined
}

function routesOf(paths: readonly string[], required: boolean) {
  const left: Left[] = []
  const routes: ApiRoute[] = []
  for (const text of paths) {
    const path = toPattern(text)
    if (path === undefined) {
      const why = 'is no path with something below it; write a route of your own'
      left.push({ what: `[cognito] api_paths: ${text}`, why })
    } else if (!routes.some((route) => route.path === path)) {
      const name = `api${routes.length === 0 ? '' : `-${routes.length + 1}`}`
      routes.push({ name, path, access: required ? 'authenticated' : 'optional' })
    }
  }
  return { routes, left }
}

/** Options that have a place in `gateway.yaml`, or a reason why not. */
const known = [...Object.keys(forms), 'token_expiry_buffer', 'api_paths', 'require_token_for_api']

/** A user pool says where it is, and is copied, while a region is typed. */
function regionOf(region: string | undefined, pool: string | undefined, left: Left[]) {
  const named = pool?.slice(0, pool.indexOf('_'))
  if (named === undefined || region === named) return region
  if (region !== undefined) {
    left.push({
      what: `[cognito] region = ${region}`,
      why: `the user pool is in ${named}, which was taken`,
    })
  }
  return named
}

/** Seconds that `identity.keys.maxAge` takes: a minute to 24 days. */
const [minAge, maxAge] = [60, 24 * 86_400]

function maxAgeOf(text: string | undefined, left: Left[]): string | undefined {
  if (text === undefined) return undefined
  const seconds = Math.min(maxAge, Math.max(minAge, Number(text)))
  if (seconds !== Number(text)) {
    left.push({
      what: `[cognito] jwks_cache_ttl = ${text}`,
      why: `${seconds}s is the nearest that is taken`,
    })
  }
  return `${seconds}s`
}

/** Reads the section; undefined if there is none. */
export function readCognito({ settings }: Facts): Cognito | undefined {
  const section = settings['cognito']
  if (section === undefined) return undefined
  const left: Left[] = []
  const read = (option: string): string | undefined => {
    const text = (section[option] ?? '').trim()
    // Some write the address of the sign-in pages.
    const value = option === 'domain' ? text.replace(/^https:\/\//, '').replace(/\/+$/, '') : text
    if (value === '') return undefined
    if (forms[option]?.test(value) === true) return value
    left.push({
      what: `[cognito] ${option} = ${text}`,
      why: 'has another form than gateway.yaml takes',
    })
    return undefined
  }
  const userPoolId = read('user_pool_id')
  const region = regionOf(read('region'), userPoolId, left)
  const required = section['require_token_for_api']
  const api = routesOf(
    toList(section['api_paths'] ?? ''),
    required === undefined || isYes(required),
  )
  const buffer = section['token_expiry_buffer']
  if (buffer !== undefined) {
    const why = `sessions are renewed at session.renewAt (0.75) of a token's life: of an hour, 15 minutes before its end; this one meant ${buffer} s before`
    left.push({ what: `[cognito] token_expiry_buffer = ${buffer}`, why })
  }
  for (const option of Object.keys(section).filter((name) => !known.includes(name))) {
    left.push({ what: `[cognito] ${option}`, why: 'is not known here; its value was not read' })
  }
  return {
    clientId: read('client_id'),
    region,
    userPoolId,
    domain: read('domain'),
    keysMaxAge: maxAgeOf(read('jwks_cache_ttl'), left),
    routes: api.routes,
    left: [...left, ...api.left],
  }
}
