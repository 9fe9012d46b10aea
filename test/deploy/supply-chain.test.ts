/** What a release is made of: permissive licences, a bill of materials that is whole, and actions pinned by commit. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { t } from '../fixtures/tap.js'
import { root } from '../fixtures/root.js'
import { toBillOfMaterials } from '../../src/cli/bill-of-materials.js'
import { readLockFile } from '../../src/cli/locked-packages.js'
import { cacheFolder } from '../../src/demo/trac.js'

const run = promisify(execFile)
const lock = readLockFile(readFileSync(`${root}package-lock.json`, 'utf8'))
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>
}

/** Whoever ships these must keep their notices, and nothing else is asked. */
const permissive = 'MIT ISC 0BSD BSD-2-Clause BSD-3-Clause Apache-2.0 BlueOak-1.0.0'.split(' ')
/** Of what is never shipped; the last is that of axe-core, whose own files would have to stay open. */
const forDevelopment = [
  ...permissive,
  ...['(MIT OR CC0-1.0)', '(WTFPL OR MIT)', 'CC0-1.0', 'CC-BY-3.0', 'MPL-2.0'],
]
/** Says none in its package.json, and has a licence file that is MIT's. */
const silent = ['jsonc-simple-parser']

await t.test('what is shipped has a permissive licence, and says so by itself', async (t) => {
  t.ok(lock.shipped.size > 50)
  for (const [place, { license = 'none', name }] of lock.shipped) {
    t.ok(permissive.includes(license), `${name}: ${license}`)
    const installed = JSON.parse(readFileSync(`${root}${place}/package.json`, 'utf8')) as {
      readonly license: string
    }
    t.equal(installed.license, license, `${name} as it is installed`)
  }
})

await t.test('what only development needs has a licence that allows it', async (t) => {
  for (const { license = 'none', name } of lock.development.values()) {
    if (!silent.includes(name)) t.ok(forDevelopment.includes(license), `${name}: ${license}`)
  }
})

interface Bom {
  readonly serialNumber: string
  readonly components: readonly {
    readonly name: string
    readonly 'bom-ref': string
    readonly hashes?: unknown
  }[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}
const text = toBillOfMaterials(lock)
const bom = JSON.parse(text) as Bom

await t.test(
  'the bill of materials has every package that runs, with its hash and what needs it',
  async (t) => {
    const named = new Set(bom.components.map(({ name }) => name))
    for (const name of Object.keys(manifest.dependencies)) t.ok(named.has(name), name)
    t.equal(
      bom.components.length,
      new Set([...lock.shipped.values()].map(({ name, version }) => `${name}@${version}`)).size,
    )
    const refs = new Set(bom.components.map((one) => one['bom-ref']))
    t.equal(refs.size, bom.components.length)
    for (const { name, hashes } of bom.components) t.ok(hashes, `${name} has its hash`)
    const reached = new Set<string>()
    const visit = (ref: string): void => {
      if (reached.has(ref)) return
      reached.add(ref)
      for (const next of bom.dependencies.find((one) => one.ref === ref)?.dependsOn ?? [])
        visit(next)
    }
    visit(`pkg:npm/${lock.name}@${lock.version}`)
    for (const ref of refs) t.ok(reached.has(ref), `${ref} is needed by something`)
    t.equal(toBillOfMaterials(lock), text, 'the same lock file gives the same text')
    t.match(
      bom.serialNumber,
      /^urn:uuid:[\da-f]{8}-[\da-f]{4}-5[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/,
    )
  },
)

await t.test('it is CycloneDX, by the schema of its makers', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-sbom-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const file = join(folder, 'sbom.cdx.json')
  await writeFile(file, text)
  const program = [
    'import sys',
    'from cyclonedx.schema import SchemaVersion',
    'from cyclonedx.validation.json import JsonStrictValidator',
    'print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()))',
  ]
  const python = join(cacheFolder(), 'templates/bin/python')
  const { stdout } = await run(python, ['-c', program.join('\n'), file])
  t.equal(stdout.trim(), 'None', 'no fault')
})

await t.test('actions are pinned by commit, and base images by digest', async (t) => {
  const folder = `${root}.github/workflows`
  for (const name of readdirSync(folder)) {
    for (const [line] of readFileSync(`${folder}/${name}`, 'utf8').matchAll(/uses: .*/g)) {
      t.match(line, /^uses: [\w./-]+@[\da-f]{40} # v\d/, `${name}: ${line}`)
    }
  }
  for (const name of ['Dockerfile', 'deploy/trac/Dockerfile']) {
    t.ok(existsSync(root + name))
    for (const [line] of readFileSync(root + name, 'utf8').matchAll(/^FROM .*/gm)) {
      t.match(line, /@sha256:[\da-f]{64}/, `${name}: ${line}`)
    }
  }
})
