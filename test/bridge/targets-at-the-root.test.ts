/** Signer and bridge agree on what a target is where Trac has a host of its own. */
import { testTargets } from '../fixtures/targets.js'

await testTargets('')
