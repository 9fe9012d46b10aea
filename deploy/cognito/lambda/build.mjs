/** Writes index.cjs, the Lambda for Node, and puts it into cloudformation.yaml: `node deploy/cognito/lambda/build.mjs`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as prettier from 'prettier'
import ts from 'typescript'

const place = (name) => fileURLToPath(new URL(name, import.meta.url))
const template = '../cloudformation.yaml'

/** The Lambda as CommonJS, which is what Lambda makes of text in a template. */
async function compile() {
  const { outputText } = ts.transpileModule(
    readFileSync(place('pre-token-generation.ts'), 'utf8'),
    {
      compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.CommonJS },
    },
  )
  const head = '// Made of pre-token-generation.ts by `npm run docs`.\n'
  const bare = outputText.replaceAll(/\/\*\*[^]*?\*\/\n/g, '')
  return prettier.format(head + bare, {
    parser: 'babel',
    semi: false,
    singleQuote: true,
    printWidth: 100,
  })
}

/** Each file that is made here, by its path, with the text that it should have. */
export async function made() {
  const lambda = await compile()
  const [before, rest] = readFileSync(place(template), 'utf8').split(/^ *# lambda:begin\n/m)
  const [, after] = rest.split(/^ *# lambda:end\n/m)
  const lines = lambda.split('\n').map((line) => (line === '' ? '' : `          ${line}`))
  const block = `        # lambda:begin\n        ZipFile: |\n${lines.join('\n').trimEnd()}\n        # lambda:end\n`
  return new Map([
    [place('index.cjs'), lambda],
    [place(template), before + block + after],
  ])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of await made()) writeFileSync(file, text)
}
