/** Signer and bridge agree on what a target is where Trac lies below a base path. */
import { testTargets } from '../fixtures/targets.js'

await testTargets('/trac')
