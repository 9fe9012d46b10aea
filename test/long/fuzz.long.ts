/** 100,000 structured odd requests by raw socket, others each time; FUZZ_SEED repeats the run whose seed a failure names. */
import { randomInt } from 'node:crypto'
import { t } from '../fixtures/tap.js'
import { testFuzz } from '../fixtures/fuzz.js'

const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 30))
t.setTimeout(900_000)
await testFuzz({ requests: 100_000, callbacks: 10_000, seed })
