/** Pages with a button that signs out: their policy names where the provider lets its own session be ended. */
import type { Timers } from '../core/clock.js'
import type { BuildPage, Reply } from '../edge/reply.js'
import type { FindEndpoints } from '../oidc/provider-endpoints.js'
import type { RequestContext } from '../request/context.js'
import { english } from '../texts/languages.js'
import { withinTimeout } from '../sign-in/provider-logout.js'

/** What these pages need. */
export interface LogoutPageParts {
  readonly endpoints: FindEndpoints
  /** Origins that the form may lead to where the provider cannot be asked. */
  readonly knownTargets: readonly string[]
  readonly reply: Reply
  readonly timers: Timers
}

/** Answers with a page. */
export type SendLogoutPage = (context: RequestContext, build: BuildPage) => Promise<void>

/** Builds the answer; a provider that does not say where it ends sessions delays the page and no more. */
export function createLogoutPage(parts: LogoutPageParts): SendLogoutPage {
  const targets = async (context: RequestContext): Promise<readonly string[]> => {
    const found = await withinTimeout(parts.timers, parts.endpoints(), (cause) => {
      context.cause = cause
    })
    if (found === undefined) return parts.knownTargets
    return found.logout.kind === 'none' ? [] : [new URL(found.logout.endpoint).origin]
  }
  return async (context, build) => {
    const content = build(english)
    const hasForm = content.actions?.some((action) => 'post' in action) ?? false
    const formTargets = hasForm ? await targets(context) : parts.knownTargets
    parts.reply.page(context, 200, build, [], formTargets)
  }
}
