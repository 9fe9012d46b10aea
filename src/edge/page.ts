/** Our own pages: plain HTML that works without script and looks at home beside Trac. */
import { createHash } from 'node:crypto'
import type { Logo } from '../core/logo.js'
import { escapeHtml } from './escape-html.js'
import { renderForm, renderHidden } from './page-form.js'
import type { PageForm } from './page-form.js'

/** A link. */
export interface PageLink {
  readonly label: string
  readonly href: string
}

/** Something to do on a page: a link, or a button that sends a form. */
export type PageAction =
  | PageLink
  | {
      readonly label: string
      readonly post: string
      /** What goes with it unseen. */
      readonly hidden?: Readonly<Record<string, string>>
    }

/** A heading and its value, or several. */
export type PageFact = readonly [name: string, value: string | readonly string[]]

/** Facts under a heading of their own. */
export interface PageSection {
  readonly title: string
  readonly facts: readonly PageFact[]
  readonly action?: PageAction
}

/** A paragraph, or one in another language than the page. */
export type Paragraph = string | { readonly text: string; readonly language: string }

/** What a page says. All of it is plain text. */
export interface PageContent {
  readonly title: string
  /** What is said comes in the box that Trac has for its own errors. */
  readonly isError?: boolean
  readonly paragraphs: readonly Paragraph[]
  /** Where to go from here, as a list. */
  readonly links?: readonly PageLink[]
  /** A text to be copied as a whole. */
  readonly copied?: string
  readonly form?: PageForm
  readonly facts?: readonly PageFact[]
  readonly sections?: readonly PageSection[]
  readonly actions?: readonly PageAction[]
}

/** Fonts, colours, boxes and buttons are those of Trac's `trac.css`, but for what would be too faint or too small there. */
const lightStyle = `
:root { color-scheme: light; --ink: #000; --paper: #fff; --quiet: #666; --line: #d7d7d7; --soft: #f7f7f0; --bar: #fafafa; --link: #b00; --button: #eee; --pressed: #f6f6f6; --edge: #bbb; --wrong: #fdc; --wrong-edge: #d00; --wrong-ink: #500 }
* { box-sizing: border-box }
body { margin: .5em; background: var(--paper); color: var(--ink); font: 1rem/1.4 Roboto, 'Segoe UI', Verdana, 'Bitstream Vera Sans', Helvetica, sans-serif }
header { display: flex; align-items: center; gap: .75em; overflow-wrap: anywhere; padding: .4em 1.25rem; background: var(--bar); color: var(--quiet); border: 1px solid var(--line); border-radius: .4em; font-size: .9em; font-weight: 600; letter-spacing: .03em; text-transform: uppercase }
main { max-width: 46rem; margin: 0 auto; padding: 1rem .5rem }
header img { max-width: 12rem; max-height: 3rem }
header a { color: inherit }
h1, h2 { letter-spacing: -.018em; line-height: 1.2; overflow-wrap: anywhere }
h1 { font-size: 1.8em; margin: .5em 0 }
h2 { font-size: 1.2em; margin: 1.5em 0 .5em }
p, dd, dt { overflow-wrap: anywhere }
.error { background: var(--wrong); color: var(--wrong-ink); border: 2px solid var(--wrong-edge); border-radius: .4em; padding: .5em 1em; margin: 1em 0 }
.error p { margin: .25em 0 }
li { overflow-wrap: anywhere; margin: .4em 0 }
li a { color: var(--link) }
dl { display: grid; grid-template-columns: fit-content(45%) minmax(0, 1fr); gap: .25em 1.5em; background: var(--soft); border: 1px solid var(--line); border-radius: .4em; padding: .75em 1em; margin: 1em 0; font-size: .9em }
dt { font-weight: 600 } dd { margin: 0; grid-column: 2 }
@media (max-width: 30rem) { dl { display: block } dd { margin-bottom: .5em } }
.actions { display: flex; flex-wrap: wrap; gap: .75em; margin: 1.5em 0 }
.actions form { margin: 0 }
.copied { background: var(--soft); border: 1px solid var(--line); border-radius: .4em; padding: .75em 1em }
.copied code { font-size: 1rem; user-select: all; overflow-wrap: anywhere }
fieldset { border: 1px solid var(--line); border-radius: .4em; margin: 1em 0; padding: .5em 1em }
fieldset label { display: block; margin: .25em 0; overflow-wrap: anywhere }
.many { max-height: 16em; overflow: auto }
input { font: inherit; max-width: 100% }
button, .actions a { display: inline-block; font: inherit; font-size: .9em; line-height: 1.4; color: var(--ink); background: var(--button); border: 1px solid var(--edge); border-radius: .3em; box-shadow: .1em .1em .1em 0 var(--line); padding: .35em .8em .45em; text-decoration: none; cursor: pointer }
button:hover, .actions a:hover { background: var(--pressed); box-shadow: .1em .1em .2em 0 var(--edge) }
:focus-visible { outline: .2rem solid var(--link); outline-offset: .15rem }
`

/** What is other in the dark, for whoever wants it dark. */
const darkStyle = `@media (prefers-color-scheme: dark) { :root { color-scheme: dark; --ink: #e8e6e3; --paper: #181a1b; --quiet: #b5b0a8; --line: #4a4a46; --soft: #202223; --bar: #232526; --link: #ff9d8a; --button: #2f3234; --pressed: #3a3e40; --edge: #6b6b66; --wrong: #3b1512; --wrong-edge: #c8452f; --wrong-ink: #ffd9cc } }
`

const styles = { light: lightStyle, auto: lightStyle + darkStyle } as const

function renderAction(action: PageAction): string {
  const label = escapeHtml(action.label)
  if ('href' in action) return `<a href="${escapeHtml(action.href)}">${label}</a>`
  const hidden = renderHidden(action.hidden ?? {})
  return `<form method="post" action="${escapeHtml(action.post)}">${hidden}<button>${label}</button></form>`
}

function renderParagraph(paragraph: Paragraph): string {
  if (typeof paragraph === 'string') return `<p>${escapeHtml(paragraph)}</p>`
  return `<p lang="${escapeHtml(paragraph.language)}">${escapeHtml(paragraph.text)}</p>`
}

const renderValue = (value: string): string => `<dd>${escapeHtml(value)}</dd>`

function renderLinks(links: readonly PageLink[]): string {
  if (links.length === 0) return ''
  const items = links.map((link) => `<li>${renderAction(link)}</li>`)
  return `<ul>${items.join('')}</ul>\n`
}

function renderFacts(facts: readonly PageFact[]): string {
  if (facts.length === 0) return ''
  const rows = facts.map(
    ([name, value]) => `<dt>${escapeHtml(name)}</dt>${[value].flat().map(renderValue).join('')}`,
  )
  return `<dl>${rows.join('')}</dl>`
}

/** How our own pages look (`pages`). */
export interface PageLook {
  /** What they call this Trac. */
  readonly name: string
  readonly logo?: Logo | undefined
  /** Where the name leads; undefined for nowhere. */
  readonly home?: string | undefined
  /** `auto` is light or dark, as the browser asks. */
  readonly theme: 'light' | 'auto'
}

/** Our own pages in one look. */
export interface Pages {
  /** @param language the tag of the language that it is in (RFC 5646) */
  readonly render: (content: PageContent, language: string) => string
  /**
   * The headers of every page. `formTargets` are origins that a form may lead to through a redirect, which Chromium
   * counts as a target of the form (CSP3 §6.4.2).
   */
  readonly headers: (formTargets: readonly string[], language: string) => readonly string[]
}

/** The head of every page: whose it is. */
function renderBanner({ name, logo, home }: PageLook): string {
  // The name beside it says what the picture shows.
  const picture = logo === undefined ? '' : `<img src="${escapeHtml(logo.address)}" alt="">`
  const text = escapeHtml(name)
  const link = home === undefined ? text : `<a href="${escapeHtml(home)}">${text}</a>`
  return `<header>${picture}${link}</header>`
}

function renderActions(actions: readonly PageAction[]): string {
  const buttons = actions.map(renderAction).join('\n')
  return buttons === '' ? '' : `<div class="actions">${buttons}</div>`
}

function renderSection({ title, facts, action }: PageSection): string {
  const buttons = renderActions(action === undefined ? [] : [action])
  return `<h2>${escapeHtml(title)}</h2>\n${renderFacts(facts)}${buttons}`
}

function renderMain({
  title,
  isError = false,
  paragraphs,
  links = [],
  copied,
  form,
  facts = [],
  sections = [],
  actions = [],
}: PageContent): string {
  const text = paragraphs.map(renderParagraph).join('\n')
  const more = sections.map(renderSection).join('\n')
  return `<h1>${escapeHtml(title)}</h1>
${isError ? `<div class="error">${text}</div>` : text}
${renderLinks(links)}${copied === undefined ? '' : `<p class="copied"><code>${escapeHtml(copied)}</code></p>`}
${renderFacts(facts)}
${form === undefined ? '' : renderForm(form)}
${more}
${renderActions(actions)}`
}

/** Makes the pages of one look. A logo is a part of each page, so that it needs no address of its own beside Trac's. */
export function createPages(look: PageLook): Pages {
  const style = styles[look.theme]
  const hash = createHash('sha256').update(style).digest('base64')
  const pictures = look.logo === undefined ? '' : ' img-src data:;'
  const banner = renderBanner(look)
  return {
    render: (content, language) => `<!DOCTYPE html>
<html lang="${escapeHtml(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(content.title)} – ${escapeHtml(look.name)}</title>
<style>${style}</style>
</head>
<body>
${banner}
<main>
${renderMain(content)}
</main>
</body>
</html>
`,
    headers: (formTargets, language) => [
      'Content-Type',
      'text/html; charset=utf-8',
      'Content-Language',
      language,
      'Content-Security-Policy',
      `default-src 'none'; style-src 'sha256-${hash}';${pictures} form-action ${["'self'", ...formTargets].join(' ')}; frame-ancestors 'none'; base-uri 'none'`,
      'Referrer-Policy',
      'same-origin',
      'X-Content-Type-Options',
      'nosniff',
    ],
  }
}
