/** Whether bytes flow fast enough: a client's body on its way in, or an answer on its way to a client. */
import type { Milliseconds, Now } from './clock.js'

/** The limits on a flow. */
export interface FlowLimits {
  /** Without one byte. */
  readonly idle: Milliseconds
  /** Bytes a second, over the whole flow, after the first half minute. */
  readonly minimumRate: number
}

/** How long a flow may be slow before its rate is looked at. */
const grace: Milliseconds = 30_000

/** Seconds that so many bytes may take, at the slowest rate allowed. */
export function maxFlowSeconds(bytes: number, minimumRate: number): number {
  return grace / 1000 + Math.ceil(bytes / minimumRate)
}

/** Judges one flow. */
export interface FlowMeter {
  /**
   * Whether the flow has become too slow.
   * @param bytes moved so far
   * @param waiting whether it is not the client who is waited for: that time is not the client's
   */
  isTooSlow(bytes: number, waiting: boolean): boolean
}

/** The state of one flow, judged at every look; pure, so that a test can drive the clock. */
export function createFlowMeter(limits: FlowLimits, now: Now): FlowMeter {
  const startedAt = now()
  let lastBytes = 0
  let movedAt = startedAt
  let ours: Milliseconds = 0
  let seenAt = startedAt
  return {
    isTooSlow(bytes, waiting) {
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
