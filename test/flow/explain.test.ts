/** What `explain` says is what is served: 10,000 pairs of a configuration and a request in the long form. */
import { testExplained } from '../fixtures/explained.js'
import { scaled } from '../fixtures/scale.js'

await testExplained({ configurations: scaled(25, 400), requests: scaled(12, 25), seed: 20_261_127 })
