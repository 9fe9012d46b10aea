/** The short form of test/long/aborts: 1,000 clients that leave. */
import { testAborts } from '../fixtures/aborts.js'

await testAborts(1000)
