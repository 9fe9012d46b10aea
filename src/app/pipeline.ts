/**
 * The order in which a request is checked, as one table. The first check that refuses answers; nothing later runs.
 *
 * A request for an own endpoint and a forwarded one are two pipelines. The third judges the original request that a front
 * proxy asks about at `/auth/verify`: it has passed the first checks there.
 */
import type { createPreconditions } from '../edge/preconditions.js'
import type { OwnStages } from '../edge/own-endpoint.js'
import type { Policy } from '../authorize/policy.js'
import type { Stage } from '../request/context.js'

/** The stages by name. */
export type Stages = ReturnType<typeof createPreconditions> &
  OwnStages &
  Pick<Policy, 'matchRoute' | 'environment' | 'csrf' | 'access' | 'upgrades' | 'bodyLimits'> & {
    readonly answerMoved: Stage
    readonly answerSignIn: Stage
    readonly answerPreflight: Stage
    readonly refusePreflight: Stage
    readonly authenticate: Stage
    readonly rateLimit: Stage
    readonly keptFiles: Stage
  }

/** A request for an own endpoint, one that is forwarded, and the original of one at `/auth/verify`. */
export type PipelineName = 'own' | 'forwarded' | 'original'

const none = undefined

/** Stage after stage: its name, the pipelines that it is part of, and the status codes that it can answer with. */
// prettier-ignore
const table: readonly (readonly [keyof Stages, ...(PipelineName | undefined)[]])[] = [
  ['framing',         'own', 'forwarded', none      ], // 400, 431
  ['canonicalPath',   'own', 'forwarded', none      ], // 400
  ['host',            'own', 'forwarded', none      ], // 421
  ['scheme',          'own', 'forwarded', none      ], // 308, 403, 421
  ['basePath',        'own', 'forwarded', none      ], // 302, 404
  ['ownMethod',       'own', none,        none      ], // 204, 405
  ['ownRateLimit',    'own', none,        none      ], // 429
  ['ownCredential',   'own', none,        none      ], // 400, 401, 503
  ['ownPersonLimit',  'own', none,        none      ], // 429
  ['matchRoute',      none,  'forwarded', 'original'], // 404, 405
  ['answerMoved',     none,  'forwarded', none      ], // 302
  ['answerPreflight', none,  'forwarded', none      ], // 204
  ['refusePreflight', none,  none,        'original'], // 403
  ['authenticate',    none,  'forwarded', 'original'], // 400, 401, 403, 503
  ['environment',     none,  'forwarded', 'original'],
  ['rateLimit',       none,  'forwarded', 'original'], // 429
  ['csrf',            none,  'forwarded', 'original'], // 403
  ['access',          none,  'forwarded', 'original'], // 302, 401, 403
  ['answerSignIn',    none,  'forwarded', none      ], // 302, 307
  ['upgrades',        none,  'forwarded', 'original'], // 403
  ['bodyLimits',      none,  'forwarded', none      ], // 413
  ['keptFiles',       none,  'forwarded', none      ], // 200, 206, 304, 416
]

/** The stages of one pipeline by name, in their order. */
export function stageNamesOf(name: PipelineName): readonly (keyof Stages)[] {
  return table.filter(([, ...pipelines]) => pipelines.includes(name)).map(([stage]) => stage)
}

/** The stages of one pipeline, in their order. */
export function pipelineOf(name: PipelineName, stages: Stages): readonly Stage[] {
  return stageNamesOf(name).map((stage) => stages[stage])
}
