/** Revocations that all replicas share: a stream in Redis, published at once and looked at twice a second. */
import type { Milliseconds, Now } from '../core/clock.js'
import { SingleFlight } from '../core/single-flight.js'
import type { RedisLink } from './redis.js'
import type { RevocationLog } from './revocations.js'

/** What the shared list is built with. */
export interface SharedLogOptions {
  readonly link: RedisLink
  readonly now: Now
  /** How long an entry can matter. */
  readonly life: Milliseconds
  /** Whether Redis could be reached just now. */
  readonly onState: (reached: boolean) => void
}

/** Revocations are known here within this; whoever can't be sure of that must not believe a cookie. */
const maxLag: Milliseconds = 1000
const lookEvery: Milliseconds = 400
/** After a failed look the next one is not tried at once by every request. */
const restAfterFault: Milliseconds = 300
/** A stream's ids follow its server's clock; after a failover another clock counts, so a little is read twice. */
const overlap: Milliseconds = 10_000
/** Entries read at once. */
const pageSize = 5000

/** A log that others write to as well. */
export interface SharedLog extends RevocationLog {
  close(): void
}

/** Builds the log; it reads by itself until it is closed. */
export function createSharedLog(options: SharedLogOptions): SharedLog {
  const { link, onState } = options
  const key = `${link.prefix}revocations`
  const channel = `${link.prefix}revoked`
  let learn: (line: string) => void = () => undefined
  let last = '0-0'
  let sureAt = Number.NEGATIVE_INFINITY
  let failedAt = Number.NEGATIVE_INFINITY
  let fault: unknown
  const looking = new SingleFlight<void>()
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const readPages = async (from: string): Promise<void> => {
    let start = from
    for (;;) {
      const page = await link.ask((client) => client.xrange(key, start, '+', 'COUNT', pageSize))
      for (const [id, fields] of page) {
        last = id
        learn(fields[1] ?? '')
      }
      if (page.length < pageSize) return
      start = `(${last}`
    }
  }
  const look = async (): Promise<void> => {
    const asked = performance.now()
    try {
      const since = Number(last.split('-', 1)[0]) - overlap
      await readPages(since > 0 ? `${since}-0` : '-')
      sureAt = asked
      onState(true)
    } catch (error) {
      failedAt = performance.now()
      fault = error
      onState(false)
      throw error
    }
  }
  /** One look at a time; whoever asks meanwhile gets its result. */
  const lookOnce = (): Promise<void> => looking.run(key, look)
  const goOn = (): void => {
    if (closed) return
    timer = setTimeout(
      () =>
        void lookOnce()
          .catch(() => undefined)
          .then(goOn),
      lookEvery,
    )
    timer.unref()
  }

  return {
    start(onLine) {
      learn = onLine
      link.hear(channel, () => void lookOnce().catch(() => undefined))
      void lookOnce()
        .catch(() => undefined)
        .then(goOn)
    },
    async append(line) {
      const horizon = `${Math.max(0, options.now() - options.life)}`
      await link.ask((client) => client.xadd(key, 'MINID', '~', horizon, '*', 'e', line))
      await link.ask((client) => client.pexpire(key, options.life))
      // A message that is lost costs nothing but the time until the next look.
      await link.ask((client) => client.publish(channel, '1')).catch(() => 0)
    },
    catchUp() {
      const at = performance.now()
      if (at - sureAt < maxLag) return undefined
      if (at - failedAt < restAfterFault) return Promise.reject(fault)
      return lookOnce()
    },
    close() {
      closed = true
      clearTimeout(timer)
    },
  }
}
