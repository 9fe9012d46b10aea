/** `npm run docs`: rewrites what is generated, the tables of README.md and the schema for editors. */
import { readFileSync, writeFileSync } from 'node:fs'
import { jsonSchema, renewReadme } from '../config/docs.js'
import { errors } from '../core/errors.js'

/** Where the schema for editors stands, from the top of the checkout. */
const schemaFile = 'deploy/gateway.schema.json'

const readme = readFileSync('README.md', 'utf8')
writeFileSync('README.md', renewReadme(readme, errors))
writeFileSync(schemaFile, `${JSON.stringify(jsonSchema(), undefined, 2)}\n`)
