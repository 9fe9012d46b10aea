/** Cuts clients that hold a connection by sending a body too slowly (deploy/docs/requests.md#forwarding). */
import type { IncomingMessage } from 'node:http'
import type { Milliseconds, Now } from '../core/clock.js'

/** The limits on a body's arrival. */
export interface BodyLimits {
  readonly idle: Milliseconds
  /** Bytes a second, over the whole body, after the first half minute. */
  readonly minimumRate: number
}

/** How long a body may be slow before its rate is looked at. */
const grace: Milliseconds = 30_000
const tick: Milliseconds = 1000

/** Seconds that a body of so many bytes may take to arrive, at the slowest rate allowed. */
export function maxBodySeconds(bytes: number, minimumRate: number): number {
  return grace / 1000 + Math.ceil(bytes / minimumRate)
}

/** The state of one body, judged at every tick; pure, so that a test can drive the clock. */
export function createBodyMeter(limits: BodyLimits, now: Now) {
  const startedAt = now()
  let lastBytes = 0
  let movedAt = startedAt
  let ours: Milliseconds = 0
  let seenAt = startedAt
  return {
    /**
     * Whether the body has become too slow.
     * @param bytes received so far
     * @param waiting whether bytes wait for us or the upstream: that time is not the client's
     */
    isTooSlow(bytes: number, waiting: boolean): boolean {
      const at = now()
      if (waiting) ours += at - seenAt
      seenAt = at
      if (bytes !== lastBytes || waiting) {
        lastBytes = bytes
        movedAt = at
      } else if (at - movedAt >= limits.idle) {
        return true
      }
      // A byte now and then is no progress: the rate is looked at whether some came or not.
      const spent = at - startedAt - ours
      return spent > grace && bytes < (spent / 1000) * limits.minimumRate
    },
  }
}

/** Watches a request's body until it is complete; `stop` ends the watch early. */
export function watchBody(
  request: IncomingMessage,
  limits: BodyLimits,
  now: Now,
  onSlow: () => void,
): () => void {
  const meter = createBodyMeter(limits, now)
  const before = request.socket.bytesRead
  const timer = setInterval(() => {
    if (request.complete || request.destroyed) stop()
    else if (meter.isTooSlow(request.socket.bytesRead - before, request.readableLength > 0)) {
      stop()
      onSlow()
    }
  }, tick)
  timer.unref()
  const stop = (): void => clearInterval(timer)
  return stop
}
