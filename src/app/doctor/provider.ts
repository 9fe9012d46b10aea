/** The provider: its discovery document, its keys, its clock. */
import type { Milliseconds } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import type { Issuer } from '../../oidc/verify-token.js'
import { bad, good, hintOf, notTried, wordsOf } from './row.js'
import type { Row } from './row.js'
import type { DatedAnswer, Site } from './site.js'

/** Whether the provider names itself as the configuration does, and has the endpoints that are needed. */
export async function checkDiscovery({ services, config }: Site): Promise<readonly Row[]> {
  const check = 'provider.discovery'
  const { cognito, issuer } = config.identity
  if (cognito !== undefined) {
    return [good(check, `not needed with identity.cognito: the issuer is ${issuer}`)]
  }
  try {
    const { logout, revocation } = await services.endpoints()
    const lacks = [
      ...(logout.kind === 'none' ? ['end_session_endpoint'] : []),
      ...(revocation === undefined ? ['revocation_endpoint'] : []),
    ]
    const more = lacks.length === 0 ? '' : `; it has no ${lacks.join(' and no ')}`
    return [good(check, `the provider names itself ${issuer}${more}`)]
  } catch (fault) {
    const isName = fault instanceof GatewayError && fault.code === 'ERR_PROVIDER_ISSUER'
    const todo = isName
      ? hintOf(fault, '')
      : `open ${issuer}/.well-known/openid-configuration from this machine; correct identity.issuer, or start the provider`
    return [bad(check, wordsOf(fault), `a discovery document that names ${issuer}`, todo)]
  }
}

const countOf = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

async function keysOf({ issuer, keys, main }: Issuer, site: Site): Promise<Row> {
  const check = main ? 'provider.keys' : `provider.keys ${issuer}`
  await keys.refresh()
  const allowed = site.config.identity.algorithms.join(', ')
  const wanted = `keys for signatures by ${allowed} (identity.algorithms)`
  if (keys.fetchedAt === undefined) {
    const found = `the keys can’t be fetched: ${wordsOf(keys.fault)}`
    const todo = site.config.identity.cognito
      ? 'correct identity.cognito.region and userPoolId (or identity.issuer)'
      : 'correct identity.issuer, or start the provider'
    return bad(check, found, wanted, todo)
  }
  const usable = keys.inUse.filter(({ algorithms }) => algorithms.length > 0)
  const found = `${countOf(usable.length, 'key')}, for ${[...new Set(usable.flatMap(({ algorithms }) => algorithms))].join(', ')}`
  if (usable.length > 0) return good(check, found)
  return bad(
    check,
    'no usable key',
    wanted,
    'set identity.algorithms to what the provider signs by',
  )
}

/** Whether each issuer's keys can be had, and which they are. */
export async function checkKeys(site: Site): Promise<readonly Row[]> {
  return Promise.all(site.services.issuers.all.map((issuer) => keysOf(issuer, site)))
}

/** A date has whole seconds. */
const second: Milliseconds = 1000

/** How far a clock is ahead of ours, at least; 0 where the times of the request leave it open. */
function aheadOf({ date, askedAt, heardAt }: DatedAnswer): Milliseconds {
  if (date > heardAt) return date - heardAt
  return date + second < askedAt ? date + second - askedAt : 0
}

/** Whether the clocks agree: tokens are judged by ours. */
export function checkClock({ dated, config }: Site): Promise<readonly Row[]> {
  const check = 'provider.clock'
  const [first] = dated
  if (first === undefined) {
    return Promise.resolve([notTried(check, 'the provider sent no answer with a Date')])
  }
  const ahead = dated
    .map(aheadOf)
    .reduce((least, one) => (Math.abs(one) < Math.abs(least) ? one : least))
  const seconds = Math.round(Math.abs(ahead) / second)
  const { clockTolerance } = config.identity
  if (Math.abs(ahead) <= clockTolerance) {
    const found = seconds === 0 ? 'agrees with the provider’s' : `${seconds} s from the provider’s`
    return Promise.resolve([good(check, `this machine’s clock ${found}`)])
  }
  const found = `this machine’s clock is ${seconds} s ${ahead < 0 ? 'ahead of' : 'behind'} the provider’s (${first.origin})`
  const wanted = `at most ${clockTolerance / second} s (identity.clockTolerance)`
  return Promise.resolve([bad(check, found, wanted, 'set the clock of this machine by NTP')])
}
