/** `replay` goes on over lines that no gateway wrote. */
import { t } from '../fixtures/tap.js'
import { Replay } from '../../src/app/ask/replay.js'
import { loadText, minimal } from '../fixtures/config.js'

const line = (more: object): string =>
  JSON.stringify({
    ...{ msg: 'decision', method: 'GET', path: '/wiki', route: 'trac:wiki', result: 'allow' },
    ...more,
  })

await t.test('values that are no text, or half of a character, end nothing', (t) => {
  const odd = { toString: 1, valueOf: 1 }
  const lines = [
    ...[{ result: odd }, { route: odd }, { user: odd }, { mode: odd }, { query: { a: odd } }],
    ...[{ query: { '\ud800': 'x' } }, { query: { a: '\ud800' } }, { path: odd }, { method: odd }],
  ]
  const replay = new Replay(loadText(minimal).config)
  for (const more of lines) replay.take(line(more))
  const { decisions, same, changed, unknown } = replay.result()
  t.equal(decisions, lines.length)
  const told = Object.values(unknown).reduce((sum, count) => sum + count, 0)
  t.equal(same + changed + told, decisions)
  t.end()
})
