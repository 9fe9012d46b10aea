/** Which pages of the repository are pages of the site, where each is there, and what they show beside themselves. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path/posix'

/** The page that the site begins with; the lists in it are the contents. */
const index = 'deploy/docs/README.md'
const folder = dirname(index)

const isElsewhere = (address) => /^[a-z]+:/i.test(address)

/** The page that stands for a folder, which a host of pages does not show by itself. */
const listOf = (path) => `${path}/index.md`

/** The text of that page: what is in the folder. */
function listFolder(path) {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(path, join(entry.parentPath, entry.name)))
  return `# ${path}\n\n${files
    .toSorted()
    .map((file) => `- [${file}](${file})`)
    .join('\n')}\n`
}

/** Where an address leads from a page: a path of the repository and an anchor with its `#`. */
function resolve(source, address) {
  const [, path = '', anchor = ''] = /^([^#]*)(#.*)?$/.exec(address) ?? []
  const target = path === '' ? source : normalize(join(dirname(source), path))
  const isFolder = existsSync(target) && statSync(target).isDirectory()
  return { target: isFolder ? listOf(target) : target, anchor }
}

/**
 * The place of a page or file in the site: what is in the folder of the documentation stands at the top. Hosts of pages
 * leave out folders whose names begin with a dot.
 */
function placeOf(path) {
  const own = path.startsWith(`${folder}/`)
    ? path.slice(folder.length + 1)
    : `repository/${path.replace(/^\./, '')}`
  if (path === index) return 'index.html'
  return own.replace(/\.md$/, '.html')
}

/** All pages that can be reached from the index, by their paths, each with its text. */
function collectPages() {
  const pages = new Map()
  const visit = (source) => {
    if (pages.has(source)) return
    const text = existsSync(source) ? readFileSync(source, 'utf8') : listFolder(dirname(source))
    pages.set(source, text)
    for (const [, address = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (isElsewhere(address)) continue
      const { target } = resolve(source, address)
      if (target.endsWith('.md') && (existsSync(target) || target.endsWith('/index.md')))
        visit(target)
    }
  }
  visit(index)
  return pages
}

/** The sections of the index, each with the links of its list. */
function readContents() {
  return readFileSync(index, 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((section) => ({
      title: section.slice(0, section.indexOf('\n')),
      links: [...section.matchAll(/^- \[([^\]]+)\]\(([^)]+)\)/gm)].map(([, words, address]) => ({
        words: words.replaceAll('`', ''),
        source: resolve(index, address).target,
      })),
    }))
}

/** The address of one place of the site from another one. */
const between = (from, to) => relative(dirname(from), to)

/** The site, as it is described by the pages. */
export function describeSite() {
  const pages = collectPages()
  /** Files that pages link to or show, which the site has beside them. */
  const files = new Set()
  const contents = readContents()
  return {
    pages,
    files,
    placeOf,
    /** The contents as a page links to them. */
    contentsFrom: (source) =>
      contents.map(({ title, links }) => ({
        title,
        links: links.map(({ words, source: target }) => ({
          words,
          href: between(placeOf(source), placeOf(target)),
          isHere: target === source,
        })),
      })),
    /** From a page to the top of the site: empty text, or `../` as often as needed. */
    rootFrom: (source) => '../'.repeat(placeOf(source).split('/').length - 1),
    /** An address in the text of a page, as it is in the site. */
    rewrite(source, address) {
      if (isElsewhere(address)) return address
      const { target, anchor } = resolve(source, address)
      if (target === source) return anchor
      if (!pages.has(target)) files.add(target)
      return between(placeOf(source), placeOf(target)) + anchor
    },
  }
}
