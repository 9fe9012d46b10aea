/** The memory of used nonces is bounded, and when it is full an old signature is refused, never believed twice. */
import { dirname } from 'node:path'
import { t } from '../fixtures/tap.js'
import { bridgeFile } from '../../src/demo/trac.js'
import { askPython, pythonOf } from '../fixtures/tracs.js'

/** Each step is [nonce, signed, expires, now]; prints whether it was taken, and how many are kept. */
const program = `
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from trac_gateway import Nonces
nonces = Nonces(3)
print(json.dumps([[nonces.use(*step), len(nonces._used), len(nonces._by_age)]
                  for step in json.loads(sys.argv[2])]))`

/** A nonce and its times, and what becomes of it: whether it is taken, and how many are kept then. */
type Row = readonly [
  nonce: string,
  signed: number,
  expires: number,
  now: number,
  taken: boolean,
  kept: number,
]

const cases: readonly (readonly [what: string, rows: readonly Row[]])[] = [
  [
    'takes each nonce once while its signature is valid',
    [
      ['a', 100, 190, 100, true, 1],
      ['a', 100, 190, 100, false, 1],
      ['b', 100, 190, 100, true, 2],
      ['a', 100, 190, 190, false, 2],
    ],
  ],
  [
    'forgets nonces that have expired',
    [
      ['a', 100, 190, 100, true, 1],
      ['b', 101, 191, 101, true, 2],
      ['c', 300, 390, 300, true, 1],
    ],
  ],
  [
    'refuses older signatures once it had to forget a nonce',
    [
      ['upload', 100, 3700, 100, true, 1],
      ['b', 200, 3800, 200, true, 2],
      ['c', 300, 3900, 300, true, 3],
      ['d', 400, 4000, 400, true, 3],
      ['upload', 100, 3700, 401, false, 3],
      ['older', 50, 3650, 402, false, 3],
      ['same second', 100, 3700, 403, false, 3],
      ['e', 150, 3750, 404, true, 3],
      ['f', 500, 4100, 500, true, 3],
      ['b', 200, 3800, 501, false, 3],
    ],
  ],
]

for (const version of ['1.6', '1.4'] as const) {
  for (const [what, rows] of cases) {
    await t.test(`Trac ${version} ${what}`, async (t) => {
      const steps = JSON.stringify(rows.map((row) => row.slice(0, 4)))
      const outcomes = rows.map(([, , , , taken, kept]) => [taken, kept, kept])
      const python = await pythonOf(version)
      t.strictSame(await askPython(python, program, dirname(bridgeFile), steps), outcomes)
    })
  }
}
