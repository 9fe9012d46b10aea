/** `trac-gateway names`: the built program asks the gateway that runs, and its exit code tells whether all was done. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { t } from '../fixtures/tap.js'
import { minimal, secrets } from '../fixtures/config.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const folder = t.testdir({})
const { provider, gateway, url, alice, sam } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  overlay: { admin: { token: { fromEnv: 'SESSION' } } },
})
const { port } = new URL(gateway.adminUrl)

/** Runs `names …` with a configuration whose admin part has this token. */
function run(words: readonly string[], { stdin = '', token = 'SESSION', at = port } = {}) {
  const file = join(folder, 'gateway.yaml')
  const admin = `admin: { listen: '127.0.0.1:${at}', token: { fromEnv: ${token} } }\n`
  writeFileSync(file, minimal + (token === '' ? '' : admin))
  const env = { PATH: process.env['PATH'], ...secrets }
  return new Promise<{ code: number; out: string }>((resolve) => {
    const [word = '', ...more] = words
    const args = [main, 'names', word, '-c', file, ...more]
    const child = execFile(process.execPath, args, { env }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), out: stdout + stderr }),
    )
    child.stdin?.end(stdin)
  })
}

async function ask(person: typeof sam) {
  const authorization = `Bearer ${await provider.mint({}, { person })}`
  return (await new Visitor().fetch(`${url}/wiki/Start`, { headers: { authorization } })).status
}

await t.test('list tells who has which name; an empty registry says so', async (t) => {
  t.same(await run(['list']), { code: 0, out: 'no name has an owner yet\n' })
  t.equal(await ask(sam), 200)
  t.equal(await ask(alice), 200)
  const { code, out } = await run(['list'])
  t.equal(code, 0)
  t.equal(out, `alice: ${alice.sub} of ${provider.issuer}\nsam: ${sam.sub} of ${provider.issuer}\n`)
})

await t.test('reserve keeps a free name, and exits with 1 for one that somebody has', async (t) => {
  const { code, out } = await run(['reserve', 'root', 'sam'])
  t.equal(code, 1)
  t.match(out, 'root is reserved: only an alias gives it to somebody')
  t.match(out, `sam: nothing is changed, it belongs to ${sam.sub} of`)
  t.equal((await run(['reserve', 'root'])).code, 0, 'again')
})

await t.test('release frees a name and ends its owner’s tokens; unknown ones are 1', async (t) => {
  const authorization = `Bearer ${await provider.mint({}, { person: sam })}`
  const asked = () => new Visitor().fetch(`${url}/wiki/Start`, { headers: { authorization } })
  t.equal((await asked()).status, 200)
  const { code, out } = await run(['release', 'Sam'])
  t.equal(code, 0)
  t.match(out, /^Sam is free: whoever comes first gets it\. Sessions and tokens/)
  t.equal((await asked()).json()['code'], 'ERR_TOKEN_REVOKED')
  const nobody = await run(['release', 'nobody', '--json'])
  t.equal(nobody.code, 1)
  t.match(JSON.parse(nobody.out), {
    ok: false,
    outcomes: [{ name: 'nobody', why: /nobody has it/ }],
  })
})

await t.test(
  'export writes what import reads; what is taken stays, and exits with 1',
  async (t) => {
    const exported = await run(['export'])
    t.equal(exported.code, 0)
    t.match(exported.out, `{"name":"alice","issuer":"${provider.issuer}","sub":"${alice.sub}"}\n`)
    t.match(exported.out, '{"name":"root"}\n')
    const file = join(folder, 'exported')
    writeFileSync(file, exported.out)
    const again = await run(['import', file])
    t.same([again.code, again.out], [0, '2 of 2 names are kept\n'])
    t.same((await run(['import'], { stdin: readFileSync(file, 'utf8') })).code, 0, 'from a pipe')
    const other =
      '{"name":"Alice","issuer":"https://x","sub":"1"}\n{"name":"dora","issuer":"https://x","sub":"2"}\n'
    const refused = await run(['import'], { stdin: other })
    t.equal(refused.code, 1)
    t.match(refused.out, /^1 of 2 names are kept\nAlice: nothing is changed, it belongs to/)
    const bad = await run(['import'], { stdin: '{"name":"a"}\nalice\n' })
    t.same([bad.code, bad.out.startsWith('line 2 is no name')], [1, true])
    const theirs = await run(['release', '--issuer', 'https://x'])
    t.same([theirs.code, theirs.out.startsWith('dora is free')], [0, true])
    const none = await run(['release', '--issuer', 'https://x'])
    t.same([none.code, none.out], [1, 'nobody of https://x has a name here\n'])
  },
)

await t.test('what can’t be asked is told, with what to do', async (t) => {
  t.match(await run(['list'], { token: 'SIGNING' }), { code: 1, out: /not the admin\.token/ })
  t.match(await run(['list'], { token: '' }), { code: 1, out: /admin\.token is not set/ })
  t.match(await run(['list'], { at: '9' }), { code: 1, out: /is the gateway running\?/ })
  t.match(await run(['import', join(folder, 'none')]), { code: 1, out: /none can't be read/ })
})

await t.test('wrong usage is 2', async (t) => {
  for (const words of [['release'], ['release', 'a', '--issuer', 'b'], ['reserve'], ['lits']]) {
    t.equal((await run(words)).code, 2, words.join(' '))
  }
})
