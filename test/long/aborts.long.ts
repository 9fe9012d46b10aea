/** 10,000 clients that leave before, during and after the upstream's answer; the short form is in test/flow. */
import { t } from '../fixtures/tap.js'
import { testAborts } from '../fixtures/aborts.js'

t.setTimeout(600_000)
await testAborts(10_000)
