/** Follows each link of a built site, its anchor too, and finds what would be loaded from elsewhere: check-links.mjs FOLDER */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const [, , folder] = process.argv
const pages = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.html'))
const texts = new Map(pages.map((page) => [page, readFileSync(join(folder, page), 'utf8')]))
const anchors = new Map(
  [...texts].map(([page, text]) => [
    page,
    new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)),
  ]),
)

function faultOf(page, attribute, address) {
  if (/^(?:[a-z]+:)?\/\//i.test(address)) {
    return attribute === 'src' ? 'is loaded from elsewhere' : undefined
  }
  const [path, anchor] = decodeURI(address).split('#')
  const target = path === '' ? page : normalize(join(dirname(page), path))
  if (target.startsWith('..') || !existsSync(join(folder, target))) return 'does not exist'
  if (statSync(join(folder, target)).isDirectory()) return 'is a folder'
  if (anchor === undefined || anchors.get(target)?.has(anchor)) return undefined
  return 'has no such heading'
}

let links = 0
const faults = [...texts].flatMap(([page, text]) =>
  [...text.matchAll(/<(\w+)[^>]*? (href|src)="([^"]*)"/g)].flatMap(
    ([, tag, attribute, address]) => {
      links++
      const fault = faultOf(
        page,
        tag === 'link' ? 'src' : attribute,
        address.replaceAll('&amp;', '&'),
      )
      return fault === undefined ? [] : [`${page}: ${address} ${fault}`]
    },
  ),
)
for (const fault of faults) console.error(fault)
console.log(`${pages.length} pages, ${links} links, ${faults.length} of them broken`)
if (faults.length > 0 || pages.length === 0) process.exitCode = 1
