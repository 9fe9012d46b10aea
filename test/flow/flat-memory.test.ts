/** The short form of test/long/large-bodies: 256 MiB, four times what the memory may rise by. */
import { testLargeBodies } from '../fixtures/large-bodies.js'

await testLargeBodies(256)
