/** The short form of test/long/connections: 2,000 open connections. */
import { t } from '../fixtures/tap.js'
import { testIdleConnections } from '../fixtures/idle-connections.js'

await t.test('an idle connection takes no more than 6 KiB', (t) => testIdleConnections(t, 2000))
