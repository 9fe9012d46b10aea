/** An upstream with everything that was made for it when the configuration was taken. */
import type { Milliseconds } from '../core/clock.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import type { Signer, SigningKey } from '../trac/signature.js'
import type { Connections } from './connections.js'
import type { Gate } from './gate.js'
import type { UpstreamHeaderRules } from './request-headers.js'

/** One upstream. */
export interface Upstream {
  readonly name: string
  /** Trac's servers want a type for every body, even an empty one; Trac names one for all that it serves. */
  readonly isTrac: boolean
  readonly address: UpstreamAddress
  readonly connections: Connections
  /** Places for requests, and those for what has no end of its own: tunnels and event streams. */
  readonly requests: Gate
  readonly tunnels: Gate
  readonly headerRules: UpstreamHeaderRules
  /** Undefined for an upstream without keys of its own: it is told nobody's identity with proof. */
  readonly sign: Signer | undefined
  /** The key that Trac's plugin proves its answers with; undefined for an upstream that has no plugin of ours. */
  readonly answerKey: SigningKey | undefined
  readonly timeouts: {
    readonly connect: Milliseconds
    readonly firstByte: Milliseconds
    readonly idle: Milliseconds
  }
}
