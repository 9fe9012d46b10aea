/** What an own endpoint answers once its checks have passed: made by its own handler where that only reads, else said to be open. */
import { isNavigation, wantsPage } from '../../edge/reply.js'
import type { RequestContext } from '../../request/context.js'
import { hasBody } from '../../request/headers.js'

interface OwnAnswer {
  /** Whether the handler neither changes anything nor asks anybody; it decides, not this. */
  readonly onlyReads: (context: RequestContext) => boolean
  /** What is left open otherwise. */
  readonly open: string
}

const always = () => true
const never = () => false
const isNobody = ({ identity }: RequestContext): boolean => identity.via === undefined
const asksForPrompt = ({ target }: RequestContext): boolean => target.query.includes('prompt')

const logout: OwnAnswer = {
  onlyReads: (context) => context.method !== 'POST' && isNobody(context),
  open: 'GET shows a button (200); POST from another origin is 403, else it ends the session and leads on (303)',
}

/** By the endpoint’s name. */
const answers: Readonly<Record<string, OwnAnswer>> = {
  'auth:healthz': { onlyReads: always, open: '' },
  'auth:client.js': { onlyReads: always, open: '' },
  'auth:signed-out': { onlyReads: always, open: '' },
  'auth:trac-login': { onlyReads: always, open: '' },
  'auth:session': {
    // The page has a form that leads to the provider, which says where.
    onlyReads: (context) => isNobody(context) || !wantsPage(context),
    open: 'the page says who one is (200)',
  },
  'auth:environments': {
    onlyReads: (context) => isNobody(context) || !wantsPage(context),
    open: 'the page lists the environments that one may enter (200)',
  },
  'auth:login': {
    onlyReads: (context) => (isNobody(context) ? !isNavigation(context) : !asksForPrompt(context)),
    open: 'it begins a sign-in and leads to the provider (302); one sign-in after the other without a session is 400; a provider that can’t be asked is 502 or 503',
  },
  'auth:logout': logout,
  'auth:trac-logout': logout,
  'auth:callback': {
    onlyReads: never,
    open: 'its code, state and cookie: a page with a cause (400 to 503), or a new session (303)',
  },
  'auth:refresh': {
    onlyReads: never,
    open: 'origin (403), type (415), body and cookie (400), how many failed (429), and what the provider says (401, 502, 503)',
  },
  'auth:backchannel': { onlyReads: never, open: 'the logout token: 200 or 400' },
  'auth:tokens': {
    onlyReads: never,
    open: 'the list of personal tokens (200); nobody is sent to sign in (302), and whatever is no window of a browser is 403',
  },
  'auth:new-token': {
    onlyReads: never,
    open: 'the form (200), or a sign-in first (302); POST makes a token, and what is no window of a browser is 403',
  },
  'auth:revoke-token': { onlyReads: never, open: 'the form (403), then the list (303)' },
  'auth:verify': {
    onlyReads: never,
    open: 'the original request: ask about that one, by its own method and address',
  },
}

/** What is open of the answer of this endpoint; undefined where its handler only reads, and so can make it. */
export function openAnswer(context: RequestContext): string | undefined {
  const { endpoint, headers } = context
  if (hasBody(headers)) return 'the body, and what the endpoint makes of it'
  const answer = answers[endpoint.name]
  if (answer === undefined) return 'its own rules'
  return answer.onlyReads(context) ? undefined : answer.open
}
