/** Makes a site of the documentation with Eleventy. The pages stay as they are read in the repository. */
import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describeSite } from './pages.mjs'

const output = '.build/site'
const site = describeSite()

/** The anchor of a heading, the way GitHub makes it. */
const anchorOf = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\- ]/gu, '')
    .replaceAll(' ', '-')

/** Gives headings their anchors; one that comes again gets a number. */
function setAnchors({ tokens }) {
  const seen = new Map()
  for (const [i, token] of tokens.entries()) {
    if (token.type !== 'heading_open') continue
    const anchor = anchorOf(tokens[i + 1].content)
    const times = seen.get(anchor) ?? 0
    seen.set(anchor, times + 1)
    token.attrSet('id', times === 0 ? anchor : `${anchor}-${times}`)
  }
}

/** Leads links and pictures to where their targets are in the site. */
function rewriteAddresses({ tokens, env }) {
  for (const token of tokens.flatMap(({ children }) => children ?? [])) {
    const name = { link_open: 'href', image: 'src' }[token.type]
    if (name !== undefined) token.attrSet(name, site.rewrite(env.source, token.attrGet(name)))
  }
}

/** Columns are aligned by classes, since the policy of the pages takes no styles within them. */
function alignByClass({ tokens }) {
  for (const token of tokens) {
    const [, side] = /text-align:(\w+)/.exec(token.attrGet?.('style') ?? '') ?? []
    if (side === undefined) continue
    token.attrs = token.attrs.filter(([name]) => name !== 'style')
    token.attrJoin('class', side)
  }
}

export default function configure(eleventy) {
  eleventy.setTemplateFormats(['md'])
  eleventy.amendLibrary('md', (markdown) => {
    markdown.set({ html: true })
    markdown.core.ruler.push('anchors', setAnchors)
    markdown.core.ruler.push('addresses', rewriteAddresses)
    markdown.core.ruler.push('alignment', alignByClass)
    const { table_open: open, table_close: close } = markdown.renderer.rules
    const plain = (tokens, i, options, env, self) => self.renderToken(tokens, i, options)
    markdown.renderer.rules.table_open = (...all) =>
      `<div class="table" tabindex="0">${(open ?? plain)(...all)}`
    markdown.renderer.rules.table_close = (...all) => `${(close ?? plain)(...all)}</div>`
  })
  for (const [source, text] of site.pages) {
    eleventy.addTemplate(site.placeOf(source).replace(/html$/, 'md'), text, {
      source,
      permalink: site.placeOf(source),
      layout: 'page.liquid',
      title: /^# (.+)$/m.exec(text)?.[1] ?? source,
      root: site.rootFrom(source),
      contents: site.contentsFrom(source),
      // The map of the code and the tests are read, and not searched.
      isSearched: !/^(?:src|test)\//.test(source),
    })
  }
  eleventy.addPassthroughCopy({ 'deploy/site/assets': 'assets' })
  eleventy.on('eleventy.after', () => {
    for (const file of site.files) {
      const place = join(output, site.placeOf(file))
      mkdirSync(dirname(place), { recursive: true })
      copyFileSync(file, place)
    }
  })
  return {
    // A page may have any braces.
    markdownTemplateEngine: false,
    dir: { input: 'deploy/site', includes: 'layout', output },
  }
}
