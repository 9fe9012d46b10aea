/** Facts of a refusal that stand in the request itself, for the log: nothing here is a credential. */
import type { ErrorCode, Facts } from '../core/errors.js'
import type { PublicUrl } from '../core/public-url.js'
import type { RequestContext } from '../request/context.js'

/** What was found and what was wanted. */
export interface RefusalFacts {
  readonly found: Facts | undefined
  readonly wanted: Facts | undefined
}

type Read = (context: RequestContext, address: PublicUrl) => RefusalFacts

const origins: Read = ({ headers }, { origin }) => ({
  found: { origin: headers.origin, sec_fetch_site: headers.fetchSite },
  wanted: { origin, sec_fetch_site: 'same-origin' },
})

const byCode: Readonly<Partial<Record<ErrorCode, Read>>> = {
  ERR_CROSS_SITE: origins,
  ERR_BODY_TOO_LARGE: ({ headers, route }) => ({
    found: { bytes: headers.contentLength < 0 ? undefined : headers.contentLength },
    wanted: { bytes: route.bodyLimit === 0 ? undefined : route.bodyLimit },
  }),
  ERR_CREDENTIAL_NOT_ACCEPTED: ({ identity, route }) => ({
    found: { credential: identity.via },
    wanted: { credential: [...route.credentials] },
  }),
}

/** The facts that the refusal brought, else those that the request shows. */
export function refusalFacts(context: RequestContext, address: PublicUrl): RefusalFacts {
  const { found, wanted, code } = context
  if (found !== undefined || code === undefined) return { found, wanted }
  return byCode[code]?.(context, address) ?? { found, wanted }
}
