/** The memory of used nonces is bounded, and when it is full an old signature is refused, never believed twice. */
import { dirname } from 'node:path'
import t from 'tap'
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

type Step = [nonce: string, signed: number, expires: number, now: number]

for (const version of ['1.6', '1.4'] as const) {
  const use = async (steps: Step[]): Promise<unknown> =>
    askPython(await pythonOf(version), program, dirname(bridgeFile), JSON.stringify(steps))

  await t.test(`Trac ${version} takes each nonce once while its signature is valid`, async (t) => {
    const steps: Step[] = [
      ['a', 100, 190, 100],
      ['a', 100, 190, 100],
      ['b', 100, 190, 100],
      ['a', 100, 190, 190],
    ]
    t.strictSame(await use(steps), [
      [true, 1, 1],
      [false, 1, 1],
      [true, 2, 2],
      [false, 2, 2],
    ])
  })

  await t.test(`Trac ${version} forgets nonces that have expired`, async (t) => {
    const steps: Step[] = [
      ['a', 100, 190, 100],
      ['b', 101, 191, 101],
      ['c', 300, 390, 300],
    ]
    t.strictSame(await use(steps), [
      [true, 1, 1],
      [true, 2, 2],
      [true, 1, 1],
    ])
  })

  await t.test(
    `Trac ${version} refuses older signatures once it had to forget a nonce`,
    async (t) => {
      const steps: Step[] = [
        ['upload', 100, 3700, 100],
        ['b', 200, 3800, 200],
        ['c', 300, 3900, 300],
        ['d', 400, 4000, 400],
        ['upload', 100, 3700, 401],
        ['older', 50, 3650, 402],
        ['same second', 100, 3700, 403],
        ['e', 150, 3750, 404],
        ['f', 500, 4100, 500],
        ['b', 200, 3800, 501],
      ]
      t.strictSame(await use(steps), [
        [true, 1, 1],
        [true, 2, 2],
        [true, 3, 3],
        [true, 3, 3],
        [false, 3, 3],
        [false, 3, 3],
        [false, 3, 3],
        [true, 3, 3],
        [true, 3, 3],
        [false, 3, 3],
      ])
    },
  )
}
