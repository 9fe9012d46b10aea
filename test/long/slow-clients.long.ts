/** slowhttptest with 500 connections, long enough for the limit on a body's rate; the short form is in test/attack. */
import { t } from '../fixtures/tap.js'
import { testSlowClients } from '../fixtures/slow-clients.js'

t.setTimeout(600_000)
await testSlowClients({ connections: 500, seconds: 60 })
