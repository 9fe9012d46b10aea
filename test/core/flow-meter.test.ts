/** When a body counts as too slow: by the silence of its client, and by its rate after half a minute. */
import { t } from '../fixtures/tap.js'
import { createFlowMeter } from '../../src/core/flow-meter.js'

const limits = { idle: 30_000, minimumRate: 1024 }

/** Drives a meter a second at a time; tells at which second it was found too slow, within ten minutes. */
function cutAt(
  bytesAt: (second: number) => number,
  waitingAt: (second: number) => boolean = () => false,
): number | undefined {
  let now = 0
  const meter = createFlowMeter(limits, () => now)
  for (let second = 1; second <= 600; second++) {
    now = second * 1000
    if (meter.isTooSlow(bytesAt(second), waitingAt(second))) return second
  }
  return undefined
}

const cases: readonly (readonly [
  what: string,
  bytes: (second: number) => number,
  cut: number | undefined,
  waiting?: (second: number) => boolean,
])[] = [
  ['nothing at all comes', () => 0, 30],
  ['a burst comes, then nothing', (s) => (s < 5 ? s * 100_000 : 500_000), 35],
  ['a byte a second trickles (slowloris on the body)', (s) => s, 31],
  ['a byte comes every 29 s', (s) => Math.floor(s / 29), 31],
  ['a little less than the rate comes', (s) => s * 1000, 31],
  ['exactly the rate comes', (s) => s * 1024, undefined],
  ['a fast start pays for a slow rest, for its time', (s) => 102_400 + s, 101],
  ['a modem sends 4 KiB a second', (s) => s * 4096, undefined],
  ['nothing comes since we or Trac do not read', () => 1, undefined, () => true],
  [
    'the client stops after we had waited',
    (s) => (s <= 100 ? 1_000_000 : 1_000_001),
    131,
    (s) => s <= 100,
  ],
  [
    'every other second is ours',
    (s) => Math.floor(s / 2) * 1024 + 1024,
    undefined,
    (s) => s % 2 === 0,
  ],
]

for (const [what, bytes, cut, waiting] of cases) {
  await t.test(`${what}: ${cut === undefined ? 'goes on' : `cut after ${cut} s`}`, async (t) => {
    t.equal(cutAt(bytes, waiting), cut)
  })
}
