/** What release 0.2 changed that no key of a file shows: told for a file of 0.1, with the line to write. */
import type { TProperties } from 'typebox'
import type { Draft } from '../draft.js'
import type { Report } from '../problems.js'
import type { Given, Rule, Topic } from '../topic.js'
import { hasListOfNames } from './identity/claims.js'
import type { Claims } from './identity/claims.js'
import type { PermissionsPart } from './permissions.js'
import type { ServerPart } from './server.js'

/** What tells a file of 0.1. */
interface Part extends PermissionsPart, ServerPart {
  readonly identity: { readonly claims: Claims }
}

/** 0.2 requires groups, and takes one claim for the name: a file without the one or with a list of the other is older. */
const isOfRelease01 = ({ permissions, identity }: Draft<Part>, given: Given): boolean =>
  !given(['permissions', 'groups']) ||
  (permissions !== undefined && hasListOfNames(identity?.claims))

function tellChanges({ server }: Draft<Part>, warn: Report, given: Given): void {
  const base = server?.publicUrl?.url ?? ''
  const say = (path: readonly string[], found: string, wanted: string): void =>
    warn(path, `a file of 0.1, and since 0.2 ${found}`, wanted)
  if (!given(['builtinTracRoutes'])) {
    say(
      ['builtinTracRoutes'],
      'pages of Trac’s plugins are open to whoever has some _VIEW permission',
      'write "builtinTracRoutes: strict" to keep them closed',
    )
  }
  say(
    ['server', 'publicUrl'],
    'a request by another host, or without X-Forwarded-Proto, is 421; it was 308',
    `health checks at "${base}/auth/healthz"`,
  )
  say(
    ['upstreams', 'trac'],
    'Trac’s plugin proves its answers',
    'the new file, before or after the gateway: "cp deploy/trac/trac_gateway.py ENVIRONMENT/plugins/", then a restart of Trac',
  )
  say(
    ['permissions', 'anonymous'],
    'what somebody set in Trac before the first sign-in is not carried into the account',
    'nothing to write: people set it once more at /prefs',
  )
}

const warnOfChanges: Rule<Part> = (draft, warn, given) => {
  if (isOfRelease01(draft, given)) tellChanges(draft, warn, given)
}

/** It has no keys. */
export const release01Topic = {
  keys: {},
  checks: [],
  warnings: { 'release-0.1': warnOfChanges },
} satisfies Topic<TProperties, Part>
