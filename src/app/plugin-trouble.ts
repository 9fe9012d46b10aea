/** What the operator is told while Trac answers without our plugin: `/readyz` as long as it lasts, the log once. */
import type { Logger } from 'pino'
import type { PluginState } from '../forward/plugin-proof.js'
import type { Readiness } from '../observe/readiness.js'

const see = 'See deploy/docs/guides/trac-side.md.'

const texts: Readonly<Record<PluginState, (trac: string) => string>> = {
  present: () => '',
  absent: (trac) =>
    `${trac} answers without X-Trac-Gateway, so it shows Login whoever is signed in: ` +
    'trac_gateway.py is not in the plugins folder of the environment, is disabled, or is older than ' +
    `0.2. ${see}`,
  foreign: (trac) =>
    `${trac} answers with an X-Trac-Gateway that is not for our request: something on the way ` +
    `answers in its place, or keeps its answers. ${see}`,
}

/** Builds what is told when the state changes. */
export function createPluginTrouble(logger: Logger, readiness: Pick<Readiness, 'note'>) {
  let told = false
  return (state: PluginState, environment: string): void => {
    const trac = environment === '' ? 'upstream trac' : `the environment ${environment} of Trac`
    const text = texts[state](trac)
    readiness.note('plugin', text)
    if (state === 'present' || told) return
    told = true
    logger.warn(text)
  }
}
