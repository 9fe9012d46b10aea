/**
 * Whether Trac has our plugin: it proves each good answer by `X-Trac-Gateway` (deploy/docs/reference/identity-headers.md).
 * Without the plugin Trac knows nobody, shows Login for ever, and says nothing anywhere.
 */
import { timingSafeEqual } from 'node:crypto'
import type { Milliseconds, Now } from '../core/clock.js'
import type { RequestContext } from '../request/context.js'
import { answerMac } from '../trac/signature.js'
import type { SigningKey } from '../trac/signature.js'
import type { Upstream } from './upstream.js'

/** What an answer says of the plugin. */
export type PluginState = 'present' | 'absent' | 'foreign'

/** Looks at the head of one answer. */
export type JudgePlugin = (
  context: Pick<RequestContext, 'route' | 'signature' | 'environment'>,
  upstream: Upstream,
  status: number,
  raw: readonly string[],
) => void

const headerName = 'x-trac-gateway'
const answerForm = /^v1;([A-Za-z0-9.-]{1,32});([A-Za-z0-9_-]{43})$/

/** A plugin that has proved itself is taken at its header's word for this long: a MAC for each answer would cost more. */
const proofLife: Milliseconds = 1000

function valueIn(raw: readonly string[]): string | undefined {
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    if (name.length === headerName.length && name.toLowerCase() === headerName) return raw[i + 1]
  }
  return undefined
}

function isProof(key: SigningKey, signature: string, value: string): boolean {
  const [, version, mac] = answerForm.exec(value) ?? []
  if (version === undefined || mac === undefined) return false
  return timingSafeEqual(Buffer.from(answerMac(key, signature, version)), Buffer.from(mac))
}

/** Trac empties its headers when an answer becomes an error, so only these tell of the plugin. */
const isTelling = (status: number): boolean => (status >= 200 && status < 300) || status === 304

/** What is known of the plugin in one environment. */
interface Known {
  state: PluginState | undefined
  provedAt: Milliseconds
}

/** Environments that are told apart where a pattern names them; those beyond share one entry for each pattern. */
const maxKnown = 1000

/** The first one without a good plugin, if any; else that there is one. */
function worst(known: ReadonlyMap<string, Known>): readonly [PluginState, string] {
  for (const bad of ['absent', 'foreign'] as const) {
    for (const [name, { state }] of known) if (state === bad) return [bad, name]
  }
  return ['present', '']
}

/**
 * Builds the judge. Rows of the operator's own may lead past Trac, so only built-in ones count.
 * @param onState told when the state is another one than before, and in which of several environments it is so
 */
export function createPluginJudge(
  now: Now,
  onState: (state: PluginState, environment: string) => void,
): JudgePlugin {
  const all = new Map<string, Known>()
  let told = ''
  const knownOf = ({ environment }: Parameters<JudgePlugin>[0]): Known => {
    const name = environment?.name ?? ''
    const key = all.has(name) || all.size < maxKnown ? name : (environment?.key ?? name)
    let known = all.get(key)
    if (known === undefined) {
      known = { state: undefined, provedAt: Number.NEGATIVE_INFINITY }
      all.set(key, known)
    }
    return known
  }
  return (context, { answerKey }, status, raw) => {
    const { route, signature } = context
    if (answerKey === undefined || !isTelling(status) || !route.name.startsWith('trac:')) return
    const value = valueIn(raw)
    const known = knownOf(context)
    let state: PluginState = 'absent'
    if (value !== undefined) {
      const at = now()
      if (known.state === 'present' && at - known.provedAt < proofLife) return
      state = isProof(answerKey, signature, value) ? 'present' : 'foreign'
      if (state === 'present') known.provedAt = at
    }
    if (state === known.state) return
    known.state = state
    const [whole, environment] = worst(all)
    const text = `${whole} ${environment}`
    if (text === told) return
    told = text
    onState(whole, environment)
  }
}
