/** The whole of gateway.yaml: its topics joined. What a topic says stands in its file below `topics/`. */
import type { Draft } from './draft.js'
import { keyOf, shape } from './key.js'
import type { KeySchema, Resolved } from './key.js'
import { adviceNames } from './kinds/names.js'
import type { Report } from './problems.js'
import type { Given, Rule, Warnings } from './topic.js'
import { acknowledge } from './topics/acknowledge.js'
import { adminTopic } from './topics/admin.js'
import { completeIdentity, identityTopic } from './topics/identity/identity.js'
import { cacheTopic } from './topics/cache.js'
import { environmentsTopic } from './topics/environments.js'
import { limitsTopic } from './topics/limits.js'
import { logTopic } from './topics/log.js'
import { pagesTopic } from './topics/pages.js'
import { permissionsTopic } from './topics/permissions.js'
import { release01Topic } from './topics/release-0.1.js'
import { completeRoutes, routesTopic } from './topics/routes.js'
import { serverTopic } from './topics/server.js'
import { sessionTopic } from './topics/session.js'
import { tracingTopic } from './topics/tracing.js'
import { tokensTopic } from './topics/tokens.js'
import { upstreamsTopic } from './topics/upstreams.js'
import { webhooksTopic } from './topics/webhooks.js'
import { workersTopic } from './topics/workers.js'

const topics = {
  server: serverTopic,
  admin: adminTopic,
  identity: identityTopic,
  session: sessionTopic,
  tokens: tokensTopic,
  permissions: permissionsTopic,
  environments: environmentsTopic,
  upstreams: upstreamsTopic,
  routes: routesTopic,
  webhooks: webhooksTopic,
  cache: cacheTopic,
  limits: limitsTopic,
  pages: pagesTopic,
  log: logTopic,
  workers: workersTopic,
  tracing: tracingTopic,
  release01: release01Topic,
}

/** Names of warnings that `acknowledge` takes, in the order in which the reference lists them. */
export const warningNames: readonly string[] = [
  ...Object.values(topics).flatMap(({ warnings }) => Object.keys(warnings)),
  ...adviceNames,
].toSorted()

const configSchema = shape('The configuration of trac-gateway.', {
  ...serverTopic.keys,
  ...adminTopic.keys,
  ...identityTopic.keys,
  ...sessionTopic.keys,
  ...tokensTopic.keys,
  ...permissionsTopic.keys,
  ...environmentsTopic.keys,
  ...upstreamsTopic.keys,
  ...routesTopic.keys,
  ...cacheTopic.keys,
  ...limitsTopic.keys,
  ...pagesTopic.keys,
  ...logTopic.keys,
  ...workersTopic.keys,
  ...tracingTopic.keys,
  acknowledge: acknowledge(warningNames),
})

/** Every key, as plain data. */
export const configKeys: KeySchema = keyOf(configSchema)

/**
 * The resolved configuration: durations in milliseconds, sizes in bytes, addresses taken apart, secrets
 * as their text, paths absolute, every default filled in, frozen. Records have no prototype, so any key
 * can be looked up.
 */
export type Config = Resolved<typeof configSchema>

const rules: readonly {
  readonly checks: readonly Rule<Config>[]
  readonly warnings: Warnings<Config>
}[] = Object.values(topics)

/** Reports every rule that the draft breaks. */
export function findProblems(draft: Draft<Config>, report: Report, given: Given): void {
  for (const { checks } of rules) for (const check of checks) check(draft, report, given)
}

/** Says everything worth a thought about the draft; `warn` makes a report for a name. */
export function findWarnings(
  draft: Draft<Config>,
  warn: (name: string) => Report,
  given: Given,
): void {
  for (const { warnings } of rules) {
    for (const [name, advise] of Object.entries(warnings)) advise(draft, warn(name), given)
  }
}

/** A draft without problems as the configuration that the program uses. */
export function complete(draft: Draft<Config>): Config {
  // The reader has reported every required key that is missing, and the checks found no problem.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const config = draft as Config
  return { ...config, identity: completeIdentity(config), routes: completeRoutes(config) }
}
