/** nginx (`auth_request`) with our file, before a real Trac. */
import { prove } from './proofs.js'

await prove('nginx', { chunkedAnswer: 400, http2: false })
