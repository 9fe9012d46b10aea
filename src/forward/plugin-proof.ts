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
  context: Pick<RequestContext, 'route' | 'signature'>,
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

/**
 * Builds the judge. Rows of the operator's own may lead past Trac, so only built-in ones count.
 * @param onState told when the state is another one than before
 */
export function createPluginJudge(now: Now, onState: (state: PluginState) => void): JudgePlugin {
  let known: PluginState | undefined
  let provedAt = Number.NEGATIVE_INFINITY
  return ({ route, signature }, { answerKey }, status, raw) => {
    if (answerKey === undefined || !isTelling(status) || !route.name.startsWith('trac:')) return
    const value = valueIn(raw)
    let state: PluginState = 'absent'
    if (value !== undefined) {
      const at = now()
      if (known === 'present' && at - provedAt < proofLife) return
      state = isProof(answerKey, signature, value) ? 'present' : 'foreign'
      if (state === 'present') provedAt = at
    }
    if (state === known) return
    known = state
    onState(state)
  }
}
