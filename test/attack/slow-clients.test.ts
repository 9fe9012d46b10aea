/** The short form of test/long/slow-clients: slowhttptest for some seconds in each of its modes. */
import { testSlowClients } from '../fixtures/slow-clients.js'

await testSlowClients({ connections: 100, seconds: 10 })
