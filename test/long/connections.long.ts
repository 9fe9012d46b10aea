/** Ten thousand open connections; the short form is test/flow/idle-connections. */
import { t } from '../fixtures/tap.js'
import { testIdleConnections } from '../fixtures/idle-connections.js'

t.setTimeout(300_000)
await t.test('an idle connection takes no more than 6 KiB', (t) => testIdleConnections(t, 10_000))
