/** The texts of our own pages: each language has each of them, with the same names of values, and says it itself. */
import { readdirSync } from 'node:fs'
import { t } from '../fixtures/tap.js'
import { root } from '../fixtures/root.js'
import { fillIn } from '../../src/core/details.js'
import { errors } from '../../src/core/errors.js'
import { en } from '../../src/texts/en.js'
import type { TextKey } from '../../src/texts/en.js'
import { catalogue, english, languageBy, languageTags } from '../../src/texts/languages.js'

const keys = Object.keys(en).toSorted() as TextKey[]
const namesIn = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).toSorted()

/** What is the same word in another language, or no word. */
const same: Readonly<Record<string, readonly TextKey[]>> = {
  en: keys,
  de: ['error.code', 'session.name'],
  fr: ['error.code', 'session.email', 'session.permissions'],
  es: [],
}

await t.test('a file is a language, English and at least three more', async (t) => {
  const files = readdirSync(`${root}src/texts`).map((name) => name.replace(/\.ts$/, ''))
  t.strictSame(
    files.filter((name) => name !== 'languages').toSorted(),
    Object.keys(catalogue).toSorted(),
  )
  t.equal(languageTags[0], 'en')
  t.ok(languageTags.length >= 4)
  t.equal(new Set(languageTags).size, languageTags.length)
  // Each can be chosen by the first part of a range.
  for (const tag of languageTags) t.match(tag, /^[a-z]{2,3}$/)
  for (const code of Object.keys(errors))
    t.ok(
      keys.some((key) => key === code),
      code,
    )
})

for (const [tag, texts] of Object.entries(catalogue)) {
  await t.test(`${tag} has each text`, async (t) => {
    t.strictSame(Object.keys(texts).toSorted(), keys)
    for (const key of keys) {
      const text = texts[key]
      t.strictSame(namesIn(text), namesIn(en[key]), `${key} has the same values`)
      if (key !== 'detail.or') t.equal(text.trim(), text, key)
      t.not(text.trim(), '', key)
      t.notMatch(text, tag === 'en' ? /[<>']/ : /[<>'"]/, `${key} has the marks of its language`)
    }
    t.strictSame(
      keys.filter((key) => texts[key] === en[key] && namesIn(en[key]).length === 0),
      keys.filter((key) => same[tag]?.includes(key) === true && namesIn(en[key]).length === 0),
      'and each is its own, but for these',
    )
  })
}

await t.test('values are put in once, and are no texts themselves', async (t) => {
  t.equal(fillIn('{a} {b} {c}', { a: '{b}', b: '$&' }), '{b} $& {c}')
  t.equal(fillIn('{constructor}', {}), '{constructor}')
  t.equal(languageBy('fr').say('session.title', { user: '{user}' }), 'Connecté en tant que {user}')
})

await t.test('a detail joins what would do with the word of its language', async (t) => {
  const detail = {
    text: 'detail.permission',
    values: { names: ['WIKI_VIEW', { text: 'detail.any_view' }] },
  } as const
  t.equal(
    english.sayDetail(detail),
    'This needs the permission WIKI_VIEW or to view something (any that ends in _VIEW).',
  )
  t.equal(
    languageBy('es').sayDetail({ ...detail, values: { names: ['A', 'B'] } }),
    'Esto necesita el permiso A o B.',
  )
  t.equal(languageBy('tlh'), english)
})
