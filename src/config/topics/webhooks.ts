/** What rules with `webhook` must not be, and what to think about in them. */
import type { TProperties } from 'typebox'
import { itemsOf } from '../draft.js'
import type { Rule, Topic } from '../topic.js'
import { groupsOfEnvironments } from './environment-keys.js'
import type { EnvironmentsPart } from './environment-keys.js'
import type { PermissionsPart } from './permissions.js'
import type { RoutesPart } from './routes.js'
import type { ServerPart } from './server.js'
import { standardKey } from './webhook-keys.js'

type Part = RoutesPart & ServerPart & PermissionsPart & EnvironmentsPart

/** Keys that mean nothing, or something else, beside `webhook`. */
const notBeside = ['credentials', 'basic', 'legacyAuth', 'websocket', 'query', 'cache'] as const

const checkRows: Rule<RoutesPart & ServerPart> = ({ routes, server }, report, given) => {
  for (const [index, { webhook, access, methods }] of itemsOf(routes)) {
    if (webhook === undefined) continue
    const at = ['routes', index]
    if (server?.forwardAuth !== undefined) {
      const found = `webhook with server.forwardAuth: ${server.forwardAuth}`
      report([...at, 'webhook'], found, 'the gateway as a proxy: it must read the body')
    }
    if (access !== undefined && access !== 'authenticated') {
      report([...at, 'access'], `access: ${access} with webhook`, 'authenticated, or no access')
    }
    if (methods?.some((method) => method !== 'POST') === true) {
      report([...at, 'methods'], `${methods.join(', ')} with webhook`, '[POST], or no methods')
    }
    for (const key of notBeside) {
      if (given([...at, key])) report([...at, key], `${key} with webhook`, `no ${key}`)
    }
  }
}

const checkSecrets: Rule<RoutesPart> = ({ routes }, report) => {
  for (const [index, { webhook }] of itemsOf(routes)) {
    const seen = new Set<string>()
    for (const [place, secret] of itemsOf(webhook?.secrets)) {
      const at = ['routes', index, 'webhook', 'secrets', place]
      if (seen.has(secret)) report(at, 'the same secret twice', 'a secret of its own')
      seen.add(secret)
      if (webhook?.form === 'standard' && standardKey(secret) === undefined) {
        report(at, 'a secret of another form', 'whsec_ and at least 16 bytes in base64')
      }
    }
  }
}

const warnOfGroups: Rule<RoutesPart & PermissionsPart & EnvironmentsPart> = (draft, warn) => {
  const { routes, permissions } = draft
  const known = [...Object.keys(permissions?.groups ?? {}), ...groupsOfEnvironments(draft)]
  for (const [index, { webhook }] of itemsOf(routes)) {
    for (const [place, name] of itemsOf(webhook?.groups)) {
      if (known.includes(name)) continue
      warn(
        ['routes', index, 'webhook', 'groups', place],
        name,
        'a group of permissions.groups; this one grants nothing',
      )
    }
  }
}

/** It has no keys of its own: `webhook` is one of a route. */
export const webhooksTopic = {
  keys: {},
  checks: [checkRows, checkSecrets],
  warnings: { 'webhook-groups': warnOfGroups },
} satisfies Topic<TProperties, Part>
