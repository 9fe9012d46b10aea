/** What a release is made of, as CycloneDX 1.6. `npm sbom --omit=dev` leaves out what development needs, too, such as jose. */
import { createHash } from 'node:crypto'
import type { LockFile, LockedPackage } from './locked-packages.js'

/** Package URL: the namespace's `@` is written in percent. */
const purlOf = ({ name, version }: Pick<LockedPackage, 'name' | 'version'>): string =>
  `pkg:npm/${name.replace('@', '%40')}@${version}`

/** An SPDX id, or an expression of several. */
const licensesOf = (license: string) =>
  /[ (]/.test(license) ? [{ expression: license }] : [{ license: { id: license } }]

function hashesOf(integrity: string | undefined) {
  const [, algorithm, value = ''] = /^(sha512)-(\S+)$/.exec(integrity ?? '') ?? []
  if (algorithm === undefined) return {}
  return { hashes: [{ alg: 'SHA-512', content: Buffer.from(value, 'base64').toString('hex') }] }
}

function toComponent(one: LockedPackage) {
  return {
    type: 'library',
    'bom-ref': purlOf(one),
    name: one.name,
    version: one.version,
    scope: 'required',
    purl: purlOf(one),
    ...hashesOf(one.integrity),
    ...(one.license === undefined ? {} : { licenses: licensesOf(one.license) }),
  }
}

/** A number that is the same for the same content: a UUID of version 5's form (RFC 9562 §5.5). */
function serialOf(content: string): string {
  const hex = createHash('sha1').update(content).digest('hex')
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-')
}

/** The bill of materials in text; the same lock file gives the same text. */
export function toBillOfMaterials(lock: LockFile): string {
  const root = { name: lock.name, version: lock.version }
  const refsOf = (needs: readonly string[]) => [
    ...new Set(needs.flatMap((place) => lock.shipped.get(place) ?? []).map(purlOf)),
  ]
  const unique = new Map([...lock.shipped.values()].map((one) => [purlOf(one), one]))
  const edges = new Map<string, readonly string[]>([[purlOf(root), refsOf(lock.needs)]])
  for (const one of lock.shipped.values()) {
    const ref = purlOf(one)
    edges.set(ref, [...new Set([...(edges.get(ref) ?? []), ...refsOf(one.needs)])])
  }
  const content = {
    metadata: {
      component: {
        type: 'application',
        'bom-ref': purlOf(root),
        ...root,
        purl: purlOf(root),
        licenses: licensesOf(lock.license),
      },
    },
    components: [...unique.values()].map(toComponent),
    dependencies: [...edges].map(([ref, dependsOn]) => ({ ref, dependsOn })),
  }
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${serialOf(JSON.stringify(content))}`,
    version: 1,
    ...content,
  }
  return `${JSON.stringify(bom, undefined, 2)}\n`
}
