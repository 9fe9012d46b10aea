/** Names for requests: taken over if well-formed, else made (W3C Trace Context §3.2). */
import { randomHex } from '../core/random.js'

const requestId = /^[A-Za-z0-9._-]{1,128}$/
/** A `traceparent` that is kept: id of the trace, id of the span, flags. */
export const traceparentForm = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/

/** Builds the two namers. */
export function createRequestNames() {
  return {
    id: (received: string): string => (requestId.test(received) ? received : randomHex(16)),
    trace: (received: string): string =>
      traceparentForm.test(received) ? received : `00-${randomHex(16)}-${randomHex(8)}-00`,
  }
}
