/** `workers`: how many processes serve on one machine. */
import { count, fixed } from '../key.js'
import type { Rule, Topic } from '../topic.js'
import type { SessionPart } from './session.js'

/** Each has its own connections to the provider, Redis and Trac, and hundreds of MiB (deploy/docs/guides/scaling.md). */
const maxWorkers = 64

const workers = fixed(
  count(
    'Processes that serve, one for each core that Trac leaves free. More than one needs `session.store: redis`: sessions, names, used sign-ins, limits and personal tokens are shared there. `limits.spool`, `maxConnections`, `rateLimit.badTokens` and `cache` count for each.',
    { default: 1, examples: [2] },
  ),
)

/** What the rules of workers look at. */
interface WorkersPart {
  readonly workers: number
}

const checkStore: Rule<WorkersPart & SessionPart> = ({ workers: found, session }, report) => {
  if (found === undefined || found === 1 || session?.store !== 'cookie') return
  report(
    ['workers'],
    `${found}, while sessions are in the cookie`,
    'session.store: redis with session.redis.url, since workers share sessions, names and limits there; or workers: 1',
  )
}

const checkNumber: Rule<WorkersPart> = ({ workers: found }, report) => {
  if (found !== undefined && found > maxWorkers) {
    report(['workers'], String(found), `at most ${maxWorkers}`)
  }
}

/** How many processes serve. */
export const workersTopic = {
  keys: { workers },
  checks: [checkStore, checkNumber],
  warnings: {},
} satisfies Topic<{ workers: typeof workers }, WorkersPart & SessionPart>
