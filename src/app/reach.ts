/** Whether Trac can be reached, where several upstreams are Tracs: one that can't is told of until it can. */
import type { Config } from '../config/schema.js'
import type { GatewayError } from '../core/errors.js'
import type { OnReach } from './context.js'
import { tellFault } from './tell-fault.js'
import { tracsOf, upstreamName } from './upstreams.js'

/** Hears of each answer and each fault of an upstream. */
export type NoteReach = (upstream: string, fault?: GatewayError) => void

/** Builds it; what is no Trac is left out. */
export function createReach(
  config: Pick<Config, 'upstreams' | 'environments'>,
  onUpstream: OnReach,
): NoteReach {
  const tracs = new Set(tracsOf(config))
  const faults = new Map<string, GatewayError>()
  return (upstream, fault) => {
    if (!tracs.has(upstream)) return
    if (fault === undefined) faults.delete(upstream)
    else faults.set(upstream, fault)
    const [first] = faults
    if (first === undefined) {
      onUpstream(true)
      return
    }
    const [name, cause] = first
    const { url } = config.upstreams[name]!
    onUpstream(false, upstreamName(name, url), tellFault(cause))
  }
}
