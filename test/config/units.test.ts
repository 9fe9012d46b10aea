/** Durations and sizes as gateway.yaml writes them. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { durationKind } from '../../src/config/kinds/duration.js'
import { sizeKind } from '../../src/config/kinds/size.js'

const parseSpan = (text: string) => durationKind.parse(text)
const parseSize = (text: string) => sizeKind.parse(text)

await t.test('reads spans and sizes with their unit', async (t) => {
  const spans: [string, number][] = [
    ['0s', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['15m', 900_000],
    ['8h', 28_800_000],
    ['7d', 604_800_000],
  ]
  for (const [text, value] of spans) t.equal(parseSpan(text), value, text)
  const sizes: [string, number][] = [
    ['4000B', 4000],
    ['64KiB', 65_536],
    ['10MiB', 10_485_760],
    ['1GiB', 1_073_741_824],
  ]
  for (const [text, value] of sizes) t.equal(parseSize(text), value, text)
})

await t.test(
  'refuses a bare number, another unit, and what only looks like a number',
  async (t) => {
    const spans = [
      '30',
      '',
      's',
      '30 s',
      ' 30s',
      '30s ',
      '-1s',
      '+1s',
      '1.5h',
      '1e3s',
      '030s',
      '30S',
    ]
    for (const text of [...spans, '1w', '1y', '30sec', '٣s', '9999999999999999d', '1constructor']) {
      t.equal(parseSpan(text), undefined, JSON.stringify(text))
    }
    for (const text of [
      '64',
      '64K',
      '64KB',
      '64kib',
      '1TiB',
      '1.5MiB',
      '-1B',
      'KiB',
      '1 KiB',
      '1b',
    ]) {
      t.equal(parseSize(text), undefined, JSON.stringify(text))
    }
  },
)

await t.test('every span and size that can be written is its number times its unit', async (t) => {
  const units = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 }
  fc.assert(
    fc.property(
      fc.nat(999_999),
      fc.constantFrom(...Object.entries(units)),
      (count, [unit, factor]) => {
        return parseSpan(`${count}${unit}`) === count * factor
      },
    ),
  )
  const sizes = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }
  fc.assert(
    fc.property(
      fc.nat(999_999),
      fc.constantFrom(...Object.entries(sizes)),
      (count, [unit, factor]) => parseSize(`${count}${unit}`) === count * factor,
    ),
  )
  t.pass('held for all that were tried')
})

await t.test('any text is a span of whole, not negative milliseconds, or none', async (t) => {
  const texts = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[0-9.eE+-]{0,20}[a-zA-Z]{0,3}$/),
    fc.integer().map(String),
  )
  fc.assert(
    fc.property(texts, (text) => {
      for (const parse of [parseSpan, parseSize]) {
        const value = parse(text)
        if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) return false
        if (value !== undefined && /^\d*$/.test(text)) return false
      }
      return true
    }),
    { numRuns: 2000 },
  )
  t.pass('held for all that were tried')
})
