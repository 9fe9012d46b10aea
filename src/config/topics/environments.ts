/** `environments`: many Tracs below one base path, each with its own permissions (deploy/docs/guides/many-environments.md). */
import {
  createKeyFinder,
  isEnvironmentPattern,
  reservedEnvironments,
} from '../../request/environment.js'
import { isAdministrative } from '../../trac/permissions.js'
import { entriesOf, itemsOf } from '../draft.js'
import { suggest } from '../problems.js'
import type { Rule, Topic } from '../topic.js'
import { environments } from './environment-keys.js'
import type { EnvironmentsPart } from './environment-keys.js'
import type { RoutesPart } from './routes.js'
import type { UpstreamsPart } from './upstreams.js'

const checkEmpty: Rule<EnvironmentsPart> = ({ environments: named }, report) => {
  if (named === undefined || Object.keys(named).length > 0) return
  report(['environments'], 'no environment', 'at least one, or no such key')
}

const checkNames: Rule<EnvironmentsPart> = ({ environments: named }, report) => {
  for (const [name] of entriesOf(named)) {
    const at = ['environments', name]
    if (reservedEnvironments.has(name)) {
      report(at, name, 'another name: addresses of the gateway begin with this one')
    }
    if (name.includes('**')) report(at, name, 'one * in place of two')
  }
}

const checkUpstreams: Rule<EnvironmentsPart & UpstreamsPart> = (draft, report) => {
  const { environments: named, upstreams } = draft
  if (upstreams === undefined) return
  for (const [name, { upstream }] of entriesOf(named)) {
    if (upstream === undefined) continue
    const at = ['environments', name, 'upstream']
    const known = Object.keys(upstreams)
    const near = suggest(upstream, known)
    const hint = near === undefined ? '' : ` (did you mean ${near}?)`
    if (!(upstream in upstreams)) report(at, upstream, `one of ${known.join(', ')}${hint}`)
    // The rows for Trac are the same for all environments.
    else if (upstreams[upstream]?.legacyAuth !== upstreams['trac']?.legacyAuth) {
      report(at, `${upstream}, whose legacyAuth is not that of trac`, 'the same legacyAuth for all')
    }
  }
}

/** Which of several Tracs gets a request is said by its environment alone. */
const checkRoutes: Rule<EnvironmentsPart & RoutesPart> = (
  { environments: named, routes },
  report,
) => {
  const tracs = new Set(entriesOf(named).map(([, { upstream }]) => upstream))
  for (const [index, { upstream }] of itemsOf(routes)) {
    if (upstream === undefined || upstream === 'trac' || !tracs.has(upstream)) continue
    const wanted = 'no upstream: the environment in the path says which Trac gets it'
    report(['routes', index, 'upstream'], `${upstream}, which environments name`, wanted)
  }
}

const warnOfAdministrators: Rule<EnvironmentsPart> = ({ environments: named }, warn) => {
  for (const [name, { permissions: given }] of entriesOf(named)) {
    for (const everybody of ['anonymous', 'authenticated'] as const) {
      for (const [index, one] of itemsOf(given?.[everybody])) {
        if (!isAdministrative(one)) continue
        const at = ['environments', name, 'permissions', everybody, index]
        warn(at, `${one} for everybody`, 'it for a group only')
      }
    }
  }
}

/** Names alone can be listed: whatever a pattern stands for is known to Trac only. */
const warnOfPatterns: Rule<EnvironmentsPart> = ({ environments: named }, warn) => {
  for (const [name] of entriesOf(named)) {
    if (!isEnvironmentPattern(name)) continue
    const wanted = 'a line for each environment that the list at the base path should show'
    warn(['environments', name], `${name}, whose environments are on no list`, wanted)
  }
}

/** A rule for Trac outside of every environment takes nothing: Trac has nothing there. */
const warnOfStrayRoutes: Rule<EnvironmentsPart & RoutesPart> = (draft, warn) => {
  const { environments: named, routes } = draft
  if (named === undefined) return
  const keyOf = createKeyFinder(Object.keys(named))
  for (const [index, { path = '/*', upstream }] of itemsOf(routes)) {
    const [, first = ''] = path.split('/')
    if (upstream !== 'trac' || first.includes('*') || keyOf(first) !== undefined) continue
    const wanted = 'a path that begins with an environment, or with /*: Trac has nothing elsewhere'
    warn(['routes', index, 'path'], `${path}, which is in no environment`, wanted)
  }
}

const warnOfClaims: Rule<EnvironmentsPart> = ({ environments: named }, warn) => {
  for (const [name, { permissions: given }] of entriesOf(named)) {
    if (given?.fromClaims !== 'all') continue
    warn(
      ['environments', name, 'permissions', 'fromClaims'],
      'all: a claim can make an administrator',
      'nonAdmin, or a list, unless nobody else can write that claim',
    )
  }
}

/** Many environments. */
export const environmentsTopic = {
  keys: { environments },
  checks: [checkEmpty, checkNames, checkUpstreams, checkRoutes],
  warnings: {
    'environment-admin-for-everybody': warnOfAdministrators,
    'environment-claims-grant-all': warnOfClaims,
    'environment-pattern': warnOfPatterns,
    'route-environment': warnOfStrayRoutes,
  },
} satisfies Topic<
  { environments: typeof environments },
  EnvironmentsPart & RoutesPart & UpstreamsPart
>
