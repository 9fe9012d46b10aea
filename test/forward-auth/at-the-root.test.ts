/** A Trac that has the whole host, behind each front proxy with our files as their page says to change them. */
import { t } from '../fixtures/tap.js'
import { proveAtTheRoot } from './proofs.js'

t.setTimeout(480_000)
for (const name of ['nginx', 'caddy', 'traefik', 'envoy'] as const) {
  await t.test(`${name} serves a Trac at the root with our file`, (t) => proveAtTheRoot(t, name))
}
