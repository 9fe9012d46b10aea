/** Cuts clients that hold a connection by sending a body too slowly (deploy/docs/requests.md#forwarding). */
import type { IncomingMessage } from 'node:http'
import type { Milliseconds, Timers } from '../core/clock.js'
import { createFlowMeter } from '../core/flow-meter.js'
import type { FlowLimits } from '../core/flow-meter.js'

/** How often a body is looked at. */
const lookEvery: Milliseconds = 1000

/** Watches a request's body until it is complete; the function that is returned ends the watch early. */
export function watchBody(
  request: IncomingMessage,
  limits: FlowLimits,
  timers: Timers,
  onSlow: () => void,
): () => void {
  const meter = createFlowMeter(limits, () => timers.monotonic())
  const before = request.socket.bytesRead
  const timer = timers.setInterval(() => {
    if (request.complete || request.destroyed) stop()
    else if (meter.isTooSlow(request.socket.bytesRead - before, request.readableLength > 0)) {
      stop()
      onSlow()
    }
  }, lookEvery)
  timer.unref()
  const stop = (): void => timers.clearInterval(timer)
  return stop
}
