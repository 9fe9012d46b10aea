/** What a text or a comment points to is there: files, headings, and no document that a reader does not have. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { t } from './fixtures/tap.js'

/** Where texts and comments are looked for, from the top of the checkout. */
const places = [
  'src',
  'test',
  'deploy',
  '.github',
  '.ci',
  'README.md',
  'Dockerfile',
  'gateway.yaml',
]
const read = (file: string): string => readFileSync(file, 'utf8')

function filesBelow(place: string): readonly string[] {
  if (!statSync(place).isDirectory()) return [place]
  return readdirSync(place, { withFileTypes: true }).flatMap((entry) => {
    const path = join(place, entry.name)
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : []
  })
}

const files = places.flatMap(filesBelow).filter((file) => !/\.(?:png|pyc|md\.new)$/.test(file))
const pages = files.filter((file) => file.endsWith('.md'))

/** Headings as addresses, the way GitHub makes them. */
function anchorsOf(page: string): ReadonlySet<string> {
  const text = read(page).replaceAll(/^```[^]*?^```/gm, '')
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\- ]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** Why an address can't be followed from a file, or undefined. */
function faultOf(file: string, address: string, from: readonly string[]): string | undefined {
  const [path = '', anchor] = address.split('#', 2)
  const target =
    path === '' ? file : from.map((folder) => normalize(join(folder, path))).find(existsSync)
  if (target === undefined) return `${file}: ${address} does not exist`
  if (anchor === undefined || anchorsOf(target).has(anchor)) return undefined
  return `${file}: ${target} has no heading #${anchor}`
}

await t.test('every link of a page leads to a file or heading of the repository', async (t) => {
  const faults = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, address = '']) => address)
      .filter((address) => !/^(?:https?|mailto):/.test(address))
      .flatMap((address) => faultOf(page, address, [dirname(page)]) ?? []),
  )
  t.strictSame(faults, [])
})

await t.test('every page that a comment names exists, with the heading it names', async (t) => {
  const faults = files
    .filter((file) => !pages.includes(file))
    .flatMap((file) =>
      [...read(file).matchAll(/(?<![\w./$}-])((?:[\w.-]+\/)*[\w-]+\.md(?:#[\w-]+)?)/g)]
        .map(([, address = '']) => address)
        .flatMap((address) => faultOf(file, address, ['', dirname(file)]) ?? []),
    )
  t.strictSame(faults, [])
})

/** What a section sign may belong to; more of one document may follow. */
const standard =
  /RFC \d+|OpenID Connect|CSP3|Fetch|Clear Site Data|W3C Trace Context|ITU-T X\.690|WCAG 2\.2/

await t.test('a section sign belongs to a published standard', async (t) => {
  const faults = files
    .filter((file) => !pages.includes(file))
    .flatMap((file) => {
      const text = read(file).replaceAll(/\s+(?:\*|\/\/|#)?\s*/g, ' ')
      return [...text.matchAll(/§ ?\d/g)]
        .map(({ index }) => text.slice(Math.max(0, index - 80), index))
        .filter((before) => !standard.test(before))
        .map((before) => `${file}: …${before}§`)
    })
  t.strictSame(faults, [])
})

await t.test('every page of deploy/docs can be reached from its index', async (t) => {
  const reached = new Set<string>()
  const visit = (page: string): void => {
    if (reached.has(page)) return
    reached.add(page)
    for (const [, address = ''] of read(page).matchAll(/\]\(([^)#\s]+\.md)/g)) {
      if (!address.startsWith('http')) visit(normalize(join(dirname(page), address)))
    }
  }
  visit('deploy/docs/README.md')
  const all = pages.filter((page) => page.startsWith('deploy/docs/'))
  t.strictSame(
    all.filter((page) => !reached.has(page)),
    [],
  )
})
