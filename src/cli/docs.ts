/** `npm run docs`: rewrites what is generated, the tables of `deploy/docs/reference/` and the schema for editors. */
import { readFileSync, writeFileSync } from 'node:fs'
import { renewReference } from './reference.js'

for (const [file, text] of renewReference((name) => readFileSync(name, 'utf8'))) {
  writeFileSync(file, text)
}
