/** The short form of test/long/fuzz: 2,000 structured odd requests by raw socket, always the same. */
import { testFuzz } from '../fixtures/fuzz.js'

await testFuzz({ requests: 2000, callbacks: 1000, seed: 2000 })
