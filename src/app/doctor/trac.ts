/** Trac: there, below the right base path, with the plugin and its key, and closed to whoever comes another way. */
import { basename } from 'node:path'
import type { Milliseconds } from '../../core/clock.js'
import { usualLine } from '../../trac/policies.js'
import { isEnvironmentPattern } from '../../request/environment.js'
import { findFault } from '../probes.js'
import { upstreamName } from '../upstreams.js'
import { bad, good, notTried, wordsOf } from './row.js'
import type { Row } from './row.js'
import { tracBase, tracName } from './site.js'
import type { Site } from './site.js'
import { loginRow, readAboutPage, readVersions, rowsOfEnvironment, rowsOfIni } from './trac-ini.js'
import { messageOf, probeTrac } from './trac-probe.js'
import type { ProbeAnswer } from './trac-probe.js'

/** Nobody has this name: where it shows up on a page, a header was believed. */
const madeUpName = 'trac-gateway-doctor'

/** A signature that is older than any that is taken. */
const staleAge: Milliseconds = 7_200_000

const see = 'see deploy/docs/guides/trac-side.md'

/** What the plugin says when it refuses, and which row that is. */
const causes: readonly (readonly [RegExp, check: string, wanted: string, todo: string])[] = [
  [
    /Cannot find implementation.* named TracGateway/s,
    'trac.plugin',
    'trac_gateway.py in the plugins folder of the environment, and enabled',
    'copy deploy/trac/trac_gateway.py into that folder, then restart Trac',
  ],
  [
    /is enabled, so it could say who/,
    'trac.login-module',
    'no sign-in in Trac but the gateway’s',
    '[components] trac.web.auth.loginmodule = disabled in trac.ini (and what else the text names)',
  ],
  [
    /permission_policies/,
    'trac.policies',
    'TracGatewayPolicy, and no DefaultPermissionPolicy',
    `${usualLine} in trac.ini`,
  ],
  [
    /key_file|key file|fingerprint/,
    'trac.key',
    'the key of upstreams.trac.signingKeys',
    'write the id and the secret of upstreams.trac.signingKeys into the key file, mode 0600, of the user that Trac runs as',
  ],
  [
    /future|has expired/,
    'trac.clock',
    'clocks that differ by less than 30 s',
    'set the clocks of both machines by NTP',
  ],
  [
    /another Host|with Host/,
    'trac.host',
    'the Host of server.publicUrl',
    'let nothing between gateway and Trac change Host; correct [trac_gateway] host in trac.ini',
  ],
  [
    /base path|signed for/,
    'trac.base-path',
    'the base path of server.publicUrl',
    'start Trac with that base path: tracd --base-path=PATH',
  ],
]

function refusedRow(site: Site, answer: ProbeAnswer): Row {
  const message = messageOf(answer)
  const there = /below the base path (\S*) of this Trac/.exec(message)?.[1]?.replace(/^\/$/, '')
  if (there !== undefined && there !== tracBase(site)) {
    return basePathRow(site, `Trac has the base path ${there === '' ? '/' : there}`)
  }
  const known = causes.find(([pattern]) => pattern.test(message))
  if (known === undefined) {
    const found = `status ${answer.status}: ${message}`
    const todo = `look into the log of Trac; ${see}`
    return bad('trac.signed', found, 'a signed request is honoured', todo)
  }
  const [, check, wanted, todo] = known
  return bad(check, message, wanted, todo)
}

function basePathRow(site: Site, found: string): Row {
  const { base } = site.app.address
  const url = site.app.address.origin + tracBase(site)
  const todo =
    base === ''
      ? 'start Trac without a base path, or put it into server.publicUrl'
      : `start Trac with that base path: tracd --base-path=${base}`
  return bad('trac.base-path', found, `Trac below the base path of ${url}`, todo)
}

const replaceFile = (site: Site): string =>
  `cp deploy/trac/trac_gateway.py ${site.tracEnv ?? 'ENVIRONMENT'}/plugins/, then restart Trac; ${see}`

const absent = (site: Site): Row =>
  bad(
    'trac.plugin',
    'Trac answers without X-Trac-Gateway: it does not have the plugin, or not enabled',
    'trac_gateway.py in the plugins folder of the environment',
    replaceFile(site),
  )

/** What a signed request for nobody comes to. */
function signedRow(site: Site, answer: ProbeAnswer): Row {
  const { status, plugin, version } = answer
  if (plugin === 'present') {
    if (
      site.config.upstreams['trac']?.signature === 'v2' &&
      Number.parseFloat(version ?? '') < 0.4
    ) {
      const found = `version ${version}, which keeps nothing of what signature: v2 tells`
      return bad('trac.plugin', found, 'version 0.4 or later', replaceFile(site))
    }
    return good('trac.plugin', `version ${version}; it honours a signed request`)
  }
  if (plugin === 'absent') return absent(site)
  if (plugin === 'foreign') {
    const found = 'the X-Trac-Gateway that came is not for this request'
    const todo = `find what answers in Trac’s place, or keeps its answers; ${see}`
    return bad('trac.plugin', found, 'an answer of the plugin itself', todo)
  }
  // A setting names the plugin that Trac can't find; or the plugin refuses.
  if (status === 403 || status === 500) return refusedRow(site, answer)
  if (status === 404) {
    const page = `${tracBase(site)}/about`
    const said = messageOf(answer).slice(0, 120)
    return basePathRow(site, `Trac knows no page at ${page} (404: ${said})`)
  }
  const found = `status ${status}: ${messageOf(answer).slice(0, 200)}`
  return bad('trac.signed', found, 'status 200', 'look into the log of Trac')
}

/** Trac's preferences: anybody may see them, and a visitor's have a part of their own, to load those of another session. */
const personalPage = '/prefs'
const isOfNobody = ({ body }: ProbeAnswer): boolean => body.includes('/prefs/advanced')

/** Whoever reaches Trac past the gateway. */
async function pastGatewayRow(site: Site): Promise<Row> {
  const check = 'trac.past-gateway'
  const claims = ['X-Trac-User', 'X-Trac-Perms', 'Remote-User', 'X_Trac_User', 'Remote_User']
  const headers = claims.flatMap((name) => [
    name,
    name === 'X-Trac-Perms' ? 'TRAC_ADMIN' : madeUpName,
  ])
  const bare = await probeTrac(site, { path: personalPage, signed: false })
  const claiming = await probeTrac(site, { path: personalPage, signed: false, headers })
  const wanted = 'a request without a signature is refused (403)'
  const isSomebody = claiming.status < 400 && isOfNobody(bare) && !isOfNobody(claiming)
  if (isSomebody || claiming.body.includes(madeUpName)) {
    const found = 'Trac believes the name in a header of anybody who reaches it'
    const todo = `remove the plugin or server setting that reads X-Trac-User or Remote-User; ${see}`
    return bad(check, found, wanted, todo)
  }
  const isOpen = [bare, claiming].some(({ status }) => status < 400)
  if (!isOpen) return good(check, 'a request without a signature is refused')
  const found = `Trac answers whoever reaches ${site.config.upstreams[tracName(site)]?.url.url} without the gateway`
  const todo = `install and enable trac_gateway.py, and let Trac listen where only the gateway reaches it; ${see}`
  return bad(check, found, wanted, todo)
}

async function staleRow(site: Site): Promise<Row> {
  const check = 'trac.stale'
  const { status } = await probeTrac(site, { signed: true, age: staleAge })
  if (status === 403) return good(check, 'a signature of two hours ago is refused')
  const wanted = 'it is refused (403)'
  return bad(check, `a signature of two hours ago is answered by ${status}`, wanted, see)
}

/** WSGI servers make the same variable of `X_Trac_User` as of `X-Trac-User`. */
async function underscoreRow(site: Site): Promise<Row> {
  const check = 'trac.underscore'
  const headers = ['X_Trac_User', madeUpName, 'X_Trac_Perms', 'TRAC_ADMIN']
  const { status, body } = await probeTrac(site, { signed: true, headers })
  if (!body.includes(madeUpName)) {
    const how = status === 403 ? 'refused' : 'not believed'
    return good(check, `X_Trac_User beside a signature is ${how}`)
  }
  const found = 'Trac believes X_Trac_User beside a signature that is not for it'
  return bad(check, found, 'it is refused', `replace the plugin by this release’s; ${see}`)
}

function versionRow(html: string): Row {
  const check = 'trac.version'
  const version = readVersions(html).get('Trac')
  if (version === undefined) return notTried(check, 'the page about Trac does not say')
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  if (major > 1 || (major === 1 && minor >= 4)) return good(check, `Trac ${version}`)
  return bad(check, `Trac ${version}`, 'Trac 1.4 or later', 'upgrade Trac')
}

/** What a Trac with a working plugin tells of itself to a signed request that may see it. */
async function insideRows(site: Site): Promise<readonly Row[]> {
  const { body } = await probeTrac(site, { signed: true, perms: 'CONFIG_VIEW' })
  const ini = site.tracEnv === undefined ? readAboutPage(body) : undefined
  return [
    versionRow(body),
    await staleRow(site),
    await underscoreRow(site),
    ...(ini === undefined
      ? []
      : ini.size === 0
        ? [notTried('trac.options', 'the page about Trac shows no settings: name --trac-env')]
        : [loginRow(ini), ...rowsOfIni(ini, site)]),
  ]
}

/** Trac, by signed requests of nobody, so that it keeps no user for them. */
export async function checkTrac(site: Site): Promise<readonly Row[]> {
  const { environments } = site.config
  if (environments === undefined) return checkOne(site)
  const { services, tracEnv } = site
  const environment = site.environment ?? (tracEnv === undefined ? undefined : basename(tracEnv))
  const plain = Object.keys(environments).filter((name) => !isEnvironmentPattern(name))
  const names = environment === undefined ? plain : [environment]
  if (names.length === 0) {
    return [notTried('trac', 'environments has patterns alone: name one with --environment')]
  }
  const rows: Row[] = []
  for (const name of names) {
    const place = services.environmentAt(`/${name}`)
    const found =
      place === undefined || place.name !== name
        ? [unknownRow(name, environments)]
        : await checkOne({ ...site, place })
    rows.push(...found.map((row) => ({ ...row, found: `${name}: ${row.found}` })))
  }
  return rows
}

function unknownRow(name: string, environments: object): Row {
  const wanted = `one of ${Object.keys(environments).join(', ')}`
  return bad('trac', 'no environment of that name', wanted, `add ${name} to environments`)
}

async function checkOne(site: Site): Promise<readonly Row[]> {
  const name = tracName(site)
  const trac = site.services.upstreams.get(name)
  if (trac === undefined) return [notTried('trac', `upstreams.${name} is not set`)]
  const local = site.tracEnv === undefined ? [] : rowsOfEnvironment(site.tracEnv, site)
  const fault = await findFault(trac, site.now)
  if (fault !== undefined) {
    const found = `${upstreamName(name, trac.address)} can’t be reached: ${wordsOf(fault)}`
    const todo = `start Trac, or correct upstreams.${name}.url`
    return [bad('trac.reach', found, 'a server that answers HTTP', todo), ...local]
  }
  const reached = good('trac.reach', trac.address.url)
  if (trac.sign === undefined) {
    const todo = `set upstreams.${name}.signingKeys, and give Trac the same key`
    const wanted = 'a key, without which Trac believes nothing'
    return [
      reached,
      bad('trac.signed', `upstreams.${name} has no signing key`, wanted, todo),
      ...local,
    ]
  }
  try {
    const signed = signedRow(site, await probeTrac(site, { signed: true }))
    const rows = [reached, signed, await pastGatewayRow(site)]
    if (signed.outcome === 'good') return [...rows, ...(await insideRows(site)), ...local]
    const why = 'Trac honours no signed request yet'
    return [...rows, notTried('trac.stale', why), notTried('trac.underscore', why), ...local]
  } catch (error) {
    const todo = `look into the log of Trac, or correct upstreams.${name}.url`
    return [reached, bad('trac.signed', wordsOf(error), 'an answer of Trac', todo), ...local]
  }
}
