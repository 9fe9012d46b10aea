/** 1 GiB up with its length, up in chunks, and down; the short form is in test/flow. */
import { t } from '../fixtures/tap.js'
import { testLargeBodies } from '../fixtures/large-bodies.js'

t.setTimeout(600_000)
await testLargeBodies(1024)
