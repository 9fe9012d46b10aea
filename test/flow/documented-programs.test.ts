/** The programs of the guide for programs run as they stand there, each against a real gateway and provider. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { signIn } from '../../src/demo/sign-in.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'

const run = promisify(execFile)

const courses = JSON.stringify(['Trac for beginners'])
const s = await stage(t, {
  provider: 'cognito',
  api: 'own',
  apiAnswer: (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(courses),
})
const { idToken, refreshToken } = await signIn(s.provider, s.alice)
const env = { PATH: process.env['PATH'], TOKEN: idToken, REFRESH_TOKEN: refreshToken }

/** How a program is run, by the language of its block. */
const commands: Readonly<Record<string, (text: string) => [string, string[]]>> = {
  sh: (text) => ['bash', ['-euo', 'pipefail', '-c', text]],
  python: (text) => ['python3', ['-c', text]],
  js: (text) => [process.execPath, ['--input-type=module', '-e', text]],
}

/** What each prints, in their order in the guide. */
const printed = [
  /^\["Trac for beginners"\]$/,
  /^\['Trac for beginners'\]\n$/,
  /^\[ 'Trac for beginners' \]\n$/,
  /"token_type":"Bearer"/,
  /"user":"alice"/,
  /^401 ERR_TOKEN_\w+ Bearer realm="Trac", error="invalid_token"\n$/,
]

const guide = readFileSync('deploy/docs/guides/programs.md', 'utf8')
const programs = [...guide.matchAll(/^```(sh|python|js)\n([^]*?)^```$/gm)]
t.equal(programs.length, printed.length, 'each program is known')

for (const [i, [, language = '', text = '']] of programs.entries()) {
  await t.test(`program ${i + 1} of the guide, in ${language}`, async (t) => {
    const program = text.replaceAll('https://trac.example.edu/trac', s.url)
    const { stdout } = await run(...commands[language]!(program), { env })
    t.match(stdout, printed[i]!)
  })
}
