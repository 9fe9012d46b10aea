/** The registry of names as a configuration wants it, and what an operator can do with it. */
import type { Logger } from 'pino'
import type { Config } from '../config/schema.js'
import type { Timers } from '../core/clock.js'
import type { NameEntry } from '../core/identity.js'
import { LocalNames } from '../names/local-names.js'
import { isReserved } from '../names/name-store.js'
import { NamesFile } from '../names/names-file.js'
import { RedisNames } from '../names/redis-names.js'
import { NameRegistry } from '../names/registry.js'
import type { Outcome } from '../names/registry.js'
import type { NameCommand, NameReport } from '../observe/admin.js'
import type { Metrics } from '../observe/metrics.js'
import type { RedisLink } from '../session/redis-link.js'

/** What the registry needs of the process. */
export interface NameParts {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly timers: Timers
  /** As {@link NameStore.max}; undefined for its own. */
  readonly max: number | undefined
}

/** Where names are kept: in Redis if sessions are there, else in the file, else in memory. @throws Error — the file can't be used */
export function openNames(
  { identity }: Config,
  redis: RedisLink | undefined,
  { logger, metrics, timers, max }: NameParts,
): NameRegistry {
  const { namesFile } = identity.username
  const store =
    redis === undefined
      ? new LocalNames(namesFile === undefined ? undefined : new NamesFile(namesFile), max)
      : new RedisNames(redis, timers, max)
  return new NameRegistry(store, {
    onRenamed: ({ name, issuer, subject }, earlier) =>
      logger.warn({ user: name, earlier, issuer, sub: subject }, 'somebody came under a new name'),
    onRefused: (reason) => metrics.nameRefusals.inc({ reason }),
  })
}

/** What an operator asks for by `trac-gateway names`. `end` ends sessions and tokens of a person. */
export function createNameCommands(
  registry: NameRegistry,
  end: (person: NameEntry) => Promise<unknown>,
) {
  const ended = async (outcomes: readonly Outcome[]): Promise<NameReport> => {
    for (const outcome of outcomes) {
      if (outcome.done && outcome.was !== undefined && !isReserved(outcome.was)) {
        await end(outcome.was)
      }
    }
    return { outcomes }
  }
  const each = async <T>(items: readonly T[], work: (item: T) => Promise<Outcome>) => {
    const outcomes: Outcome[] = []
    for (const item of items) outcomes.push(await work(item))
    return { outcomes }
  }
  return async (command: NameCommand): Promise<NameReport> => {
    switch (command.do) {
      case 'list':
        return { names: (await registry.list()).map(toPlain) }
      case 'reserve':
        return each(command.names, (name) => registry.reserve(name))
      case 'import':
        return each(command.entries, ({ name, issuer = '', sub = '' }) =>
          registry.take({ name, issuer, subject: sub }),
        )
      case 'release':
        return ended([await registry.release(command.name)])
      default:
        return ended(await registry.releaseIssuer(command.issuer))
    }
  }
}

const toPlain = (entry: NameEntry) =>
  isReserved(entry)
    ? { name: entry.name }
    : { name: entry.name, issuer: entry.issuer, sub: entry.subject }
