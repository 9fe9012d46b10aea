/** The languages of our own pages. A new one is a file like the others, and a row here (deploy/docs/guides/looks.md#languages). */
import { fillIn, sayDetail } from '../core/details.js'
import type { Detail } from '../core/details.js'
import { de } from './de.js'
import { en } from './en.js'
import type { TextKey, Texts } from './en.js'
import { es } from './es.js'
import { fr } from './fr.js'

/** The texts by the tag of their language; the first is for whoever wants none of them. */
export const catalogue: Readonly<Record<string, Texts>> = { en, de, fr, es }

/** Says texts in one language. */
export interface Language {
  /** As in `lang=` and `Content-Language` (RFC 5646). */
  readonly tag: string
  readonly say: (key: TextKey, values?: Readonly<Record<string, string>>) => string
  readonly sayDetail: (detail: Detail) => string
}

function languageOf(tag: string, texts: Texts): Language {
  return {
    tag,
    say: (key, values) => (values === undefined ? texts[key] : fillIn(texts[key], values)),
    sayDetail: (detail) => sayDetail(detail, texts),
  }
}

/** English, also for pages that are for operators alone. */
export const english = languageOf('en', en)

const languages: ReadonlyMap<string, Language> = new Map(
  Object.entries(catalogue).map(([tag, texts]) => [tag, languageOf(tag, texts)]),
)

/** The tags, the first one for whoever wants none of them. */
export const languageTags = ['en', ...Object.keys(catalogue).filter((tag) => tag !== 'en')] as [
  string,
  ...string[],
]

/** The language of a tag; English for one that is not there. */
export const languageBy = (tag: string): Language => languages.get(tag) ?? english
