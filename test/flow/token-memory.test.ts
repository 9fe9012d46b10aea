/** The short form of test/long/token-memory: 4,800 known tokens. */
import { t } from '../fixtures/tap.js'
import { testTokenMemory } from '../fixtures/token-memory.js'

await t.test('a known token takes no more than 2 KiB', (t) => testTokenMemory(t, 4800))
