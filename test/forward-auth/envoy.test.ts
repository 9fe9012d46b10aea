/** Envoy (`ext_authz`) with our file, before a real Trac. */
import { prove } from './proofs.js'

await prove('envoy', { chunkedAnswer: 400, http2: true })
