/** What the operator's guide lets somebody type, at night too, works as it stands there, against a gateway that runs. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { secretOf } from '../fixtures/config.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { until } from '../fixtures/until.js'
import { ask } from '../fixtures/wire.js'

const run = promisify(execFile)
const folder = t.testdir({ 'admin-token': secretOf('a') })
const { gateway, bearerOf } = await stage(t, {
  provider: 'scripted',
  upstream: true,
  env: { ADMIN: secretOf('a') },
  overlay: { admin: { token: { fromEnv: 'ADMIN' } } },
})

const guide = readFileSync('deploy/docs/guides/operations.md', 'utf8')
/** Blocks, without the step of a list that some belong to. */
const blocks = [...guide.matchAll(/^( *)```sh\n([^]*?)^ *```$/gm)].map(
  ([, indent = '', text = '']) => text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
)

/** Runs the block that has these words, here instead of on the machine that it is meant for. */
async function type(words: string): Promise<string> {
  const block = blocks.find((text) => text.includes(words))
  if (block === undefined) throw new Error(`where is ${words}?`)
  const log = join(folder, 'log')
  writeFileSync(log, gateway.log())
  const here = block
    .replaceAll('http://127.0.0.1:9464', gateway.adminUrl)
    .replaceAll('/run/secrets/admin-token', join(folder, 'admin-token'))
    .replaceAll("journalctl -u trac-gateway --since '-7 days' -o cat", `cat '${log}'`)
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', here])
  return stdout
}

await t.test('the codes of a week are counted, most frequent first', async (t) => {
  const before = gateway.lines.length
  for (const aud of ['other', 'another', undefined]) {
    await ask(gateway, 'GET /trac/wiki', [bearerOf({ aud })])
  }
  await ask(gateway, 'GET /trac/wiki', [bearerOf({ iss: 'https://elsewhere.example' })])
  await until(() => gateway.lines.slice(before).filter(({ msg }) => msg === 'request').length === 4)
  const counted = (await type('journalctl')).trim().split('\n')
  t.match(counted[0], /^ *\d+ "code":"ERR_TOKEN_\w+"$/)
  t.ok(counted.length > 1, counted.join())
  const counts = counted.map((line) => Number.parseInt(line, 10))
  t.strictSame(
    counts,
    counts.toSorted((a, b) => b - a),
  )
})

await t.test('the two questions at night are answered', async (t) => {
  const told = await type('/healthz')
  t.match(told, '"status":"ok"')
  for (const word of ['"ready":', '"waiting":', '"degraded":']) t.match(told, word)
})

await t.test('the status comes as JSON, with what only an operator sees', async (t) => {
  t.type(JSON.parse(await type('Accept: application/json')), 'object')
})
