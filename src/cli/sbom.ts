/** `npm run sbom`: writes `dist/sbom.cdx.json`, what the program is made of. */
import { readFileSync, writeFileSync } from 'node:fs'
import { toBillOfMaterials } from './bill-of-materials.js'
import { readLockFile } from './locked-packages.js'

writeFileSync(
  'dist/sbom.cdx.json',
  toBillOfMaterials(readLockFile(readFileSync('package-lock.json', 'utf8'))),
)
