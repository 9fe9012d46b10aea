/** Our own pages: plain HTML that works without script and looks at home beside Trac. */
import { createHash } from 'node:crypto'

/** Something to do on a page: a link, or a button that sends a form. */
export type PageAction =
  | { readonly label: string; readonly href: string }
  | { readonly label: string; readonly post: string }

/** What a page says. All of it is plain text. */
export interface PageContent {
  readonly title: string
  readonly paragraphs: readonly string[]
  /** Rows of a table: heading and value. */
  readonly facts?: readonly (readonly [string, string])[]
  readonly actions?: readonly PageAction[]
}

const style = `
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --line: #d7d7d7; --link: #a00000; --soft: #f7f7f0 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e3; --paper: #181a1b; --line: #4a4a46; --link: #ff9d8a; --soft: #232526 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 Verdana, Arial, 'Bitstream Vera Sans', Helvetica, sans-serif }
main { max-width: 44rem; margin: 0 auto; padding: 1.5rem 1rem }
h1 { font-size: 1.5rem; font-weight: normal; letter-spacing: -.01em; border-bottom: 1px solid var(--line); padding-bottom: .5rem; overflow-wrap: anywhere }
p, dd, dt { overflow-wrap: anywhere }
a { color: var(--link) }
dl { background: var(--soft); border: 1px solid var(--line); padding: .75rem 1rem; font-size: .875rem }
dt { font-weight: bold } dd { margin: 0 0 .5rem }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; padding: 0 }
.actions form { margin: 0 }
button, .actions a { display: inline-block; font: inherit; color: var(--ink); background: var(--soft); border: 1px solid currentColor; border-radius: .2rem; padding: .4rem .9rem; text-decoration: none; cursor: pointer }
button:hover, .actions a:hover { border-color: var(--link); color: var(--link) }
:focus-visible { outline: .2rem solid var(--link); outline-offset: .15rem }
`

const styleHash = createHash('sha256').update(style).digest('base64')

/** Escapes text for element content and quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(
    /[&<>"']/g,
    (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? '&#39;',
  )
}

function renderAction(action: PageAction): string {
  const label = escapeHtml(action.label)
  if ('href' in action) return `<a href="${escapeHtml(action.href)}">${label}</a>`
  return `<form method="post" action="${escapeHtml(action.post)}"><button>${label}</button></form>`
}

/** Renders a page. */
export function renderPage({ title, paragraphs, facts = [], actions = [] }: PageContent): string {
  const text = paragraphs.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join('\n')
  const rows = facts
    .map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`)
    .join('')
  const buttons = actions.map(renderAction).join('\n')
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${text}
${rows === '' ? '' : `<dl>${rows}</dl>`}
${buttons === '' ? '' : `<div class="actions">${buttons}</div>`}
</main>
</body>
</html>
`
}

/**
 * The headers of every page of ours. `formTargets` are origins that a form may lead to through a redirect,
 * which Chromium counts as a target of the form (CSP3 §6.4.2).
 */
export function pageHeaders(formTargets: readonly string[]): readonly string[] {
  const forms = ["'self'", ...formTargets].join(' ')
  return [
    'Content-Type',
    'text/html; charset=utf-8',
    'Content-Security-Policy',
    `default-src 'none'; style-src 'sha256-${styleHash}'; form-action ${forms}; frame-ancestors 'none'; base-uri 'none'`,
    'Referrer-Policy',
    'same-origin',
    'X-Content-Type-Options',
    'nosniff',
  ]
}
