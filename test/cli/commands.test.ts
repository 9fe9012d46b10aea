/** What all commands have in common, seen from outside: help with an example, completion, colours, exit codes. */
import { t } from '../fixtures/tap.js'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { commandsWith } from '../../src/cli/commands.js'
import { minimal, secrets } from '../fixtures/config.js'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const folder = t.testdir({})
const file = join(folder, 'gateway.yaml')
writeFileSync(file, `${minimal}acknowledge: [cookie-store, revocations-in-memory]\n`)
const env = { PATH: process.env['PATH'], ...secrets }

/** Runs the program to its end. */
function run(args: readonly string[], more: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { ...env, ...more },
  })
  return { code: status, out: stdout, said: stderr }
}

const none = () => Promise.resolve(0)
const commands = commandsWith({ start: none, demo: none })

await t.test('help of a command shows its options and an example', async (t) => {
  const { code, out } = run(['routes', '--help'])
  t.equal(code, 0)
  t.match(out, /--markdown/)
  t.match(out, /Example:\n {2}trac-gateway routes/)
  for (const { name, example, commands: more = [] } of commands) {
    t.ok(example.length > 0, `${name} has an example`)
    for (const one of more) t.match(one.example, `trac-gateway ${name} ${one.name}`)
  }
})

await t.test(
  'a mistyped option, or command of a command, is told with the right one',
  async (t) => {
    t.match(run(['check', '--strikt']), { code: 2, said: /Did you mean --strict\?/ })
    t.match(run(['names', 'releese', 'x']), { code: 2, said: /Did you mean release\?/ })
    t.match(run(['names', 'release']), { code: 2, said: /name one user name, or --issuer/ })
  },
)

await t.test('version answers people and programs', async (t) => {
  const { out } = run(['version'])
  t.match(out, /^\d+\.\d+\.\d+\n$/)
  t.same(JSON.parse(run(['version', '--json']).out), { version: out.trim() })
})

await t.test('colours are for terminals alone, and NO_COLOR keeps them away', async (t) => {
  const escape = '\u001b['
  t.notOk(run(['check', '-c', file]).out.includes(escape))
  const onTerminal = (more: NodeJS.ProcessEnv) =>
    spawnSync('script', ['-qec', `${process.execPath} ${main} check -c ${file}`, '/dev/null'], {
      encoding: 'utf8',
      env: { ...env, TERM: 'xterm', ...more },
    }).stdout
  t.ok(onTerminal({}).includes(escape))
  t.notOk(onTerminal({ NO_COLOR: '1' }).includes(escape))
})

await t.test(
  'bash completes commands, their commands, options, and values of options',
  async (t) => {
    const script = join(folder, 'completion.bash')
    const { out } = run(['completion', 'bash'])
    writeFileSync(script, out)
    const completed = (...words: readonly string[]): readonly string[] => {
      const list = ['trac-gateway', ...words].map((word) => `'${word}'`).join(' ')
      const text = `source '${script}'; COMP_WORDS=(${list}); COMP_CWORD=${words.length}; _trac_gateway; printf '%s\\n' "\${COMPREPLY[@]}"`
      const { stdout } = spawnSync('bash', ['--norc', '-c', text], {
        encoding: 'utf8',
        cwd: folder,
      })
      return stdout.trimEnd().split('\n')
    }
    t.same(completed('rou'), ['routes'])
    t.same(completed('names', 're'), ['reserve', 'release'])
    t.same(completed('routes', '--m'), ['--markdown'])
    t.same(completed('names', 'release', '--iss'), ['--issuer'])
    t.same(completed('check', '--config', 'gate'), ['gateway.yaml'])
    for (const { name } of commands) t.ok(completed('').includes(name), name)
  },
)

await t.test('zsh and fish have scripts, and another shell is told which there are', async (t) => {
  t.match(run(['completion', 'zsh']), { code: 0, out: /^#compdef trac-gateway/ })
  const fish = run(['completion', 'fish']).out
  for (const { name } of commands) t.match(fish, ` -a ${name} -d `)
  t.match(run(['completion', 'tcsh']), { code: 2, said: /wanted bash, zsh, fish/ })
})
