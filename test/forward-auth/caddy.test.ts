/** Caddy (`forward_auth`) with our file, before a real Trac. */
import { prove } from './proofs.js'

// Caddy sends chunks on as they came, so our file does not take them (tracd would wait for ever).
await prove('caddy', { chunkedAnswer: 411, http2: true })
