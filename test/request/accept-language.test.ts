/** `Accept-Language`: the language that a browser wants most, of those that there are. */
import * as fc from 'fast-check'
import { t } from '../fixtures/tap.js'
import { chooseLanguage } from '../../src/request/accept-language.js'

const available = ['en', 'de', 'fr', 'es'] as const
const choose = (header: string) => chooseLanguage(header, [...available])

const cases: readonly (readonly [header: string, chosen: string])[] = [
  ['', 'en'],
  ['de', 'de'],
  ['DE', 'de'],
  ['de-AT', 'de'],
  ['de-CH-1996,en;q=0.5', 'de'],
  ['it,fr;q=0.8,en;q=0.5', 'fr'],
  ['en-GB,en;q=0.9,de;q=0.8', 'en'],
  ['en;q=0.7, es ; q=0.8', 'es'],
  ['fr;q=0.5,es;q=0.5', 'fr'],
  ['it', 'en'],
  ['*', 'en'],
  ['it,*;q=0.1', 'en'],
  ['en;q=0,*', 'de'],
  ['en;q=0.1,*;q=0.9', 'de'],
  ['de-AT,de;q=0', 'en'],
  ['de;q=0,fr;q=0.1', 'fr'],
  ['de;q=0.000', 'en'],
  ['de;q=0.001,fr;q=0', 'de'],
  ['de;q=1.001,fr;q=0.1', 'fr'],
  ['de;q=2,fr;q=0.1', 'fr'],
  ['de;q=-1,fr;q=0.1', 'fr'],
  ['de;q=0.1234,fr;q=0.1', 'fr'],
  ['de;q,fr;q=0.1', 'fr'],
  ['de;level=1,fr;q=0.1', 'fr'],
  ['dede-,fr;q=0.1', 'fr'],
  ['deutsch,fr;q=0.1', 'fr'],
  [',, ,de', 'de'],
  ['constructor,__proto__', 'en'],
]

for (const [header, chosen] of cases) {
  await t.test(`“${header}” is ${chosen}`, async (t) => {
    t.equal(choose(header), chosen)
  })
}

const weight = fc.integer({ min: 0, max: 1000 }).map((thousandths) => thousandths / 1000)
const tag = fc.constantFrom(...available, 'it', 'pt', 'nds', '*')
const wishes = fc.uniqueArray(fc.record({ tag, weight }), {
  selector: (wish) => wish.tag,
  maxLength: 8,
})
const write = (list: readonly { readonly tag: string; readonly weight: number }[]) =>
  list.map(({ tag, weight }) => (weight === 1 ? tag : `${tag};q=${weight}`)).join(',')

await t.test('no other language that there is has a higher weight', async () => {
  fc.assert(
    fc.property(wishes, (list) => {
      const others = list.find(({ tag }) => tag === '*')?.weight ?? 0
      const weightOf = (language: string) =>
        list.find(({ tag }) => tag === language)?.weight ?? others
      const chosen = choose(write(list))
      const most = Math.max(...available.map(weightOf))
      return most === 0 ? chosen === 'en' : weightOf(chosen) === most
    }),
  )
})

await t.test('case, blanks, regions and parts that are none change nothing', async () => {
  fc.assert(
    fc.property(wishes, (list) => {
      const odd = list.map(({ tag, weight }) => `\t${tag.toUpperCase()} ;  Q=${weight} `)
      const withRegions = list.map(({ tag, weight }) => ({
        tag: tag === '*' || weight === 0 ? tag : `${tag}-XX`,
        weight,
      }))
      const chosen = choose(write(list))
      return (
        choose(['x y', ...odd, ';q=1', '-', 'de_DE'].join(' , ')) === chosen &&
        choose(write(withRegions)) === chosen
      )
    }),
  )
})

await t.test('any text is answered with a language that there is, in a moment', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (header) =>
      available.some((language) => language === choose(header)),
    ),
  )
  const before = process.cpuUsage()
  for (const piece of ['de,', 'a-', ' ', ';q=0', 'de;q=0.', ',', '*']) choose(piece.repeat(30_000))
  t.ok(process.cpuUsage(before).user < 1_000_000)
})
