/** 6,400 known tokens; the short form is test/flow/token-memory. */
import { t } from '../fixtures/tap.js'
import { testTokenMemory } from '../fixtures/token-memory.js'

t.setTimeout(300_000)
await t.test('a known token takes no more than 2 KiB', (t) => testTokenMemory(t, 6400))
