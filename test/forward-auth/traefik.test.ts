/** Traefik (ForwardAuth) with our files, before a real Trac. */
import { prove } from './proofs.js'

await prove('traefik', { chunkedAnswer: 400, http2: true })
