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

/** What is typed before the Tab key, and what the line is after it. */
const typed = [
  ['rou', 'routes'],
  ['names rel', 'names release'],
  ['routes --m', 'routes --markdown'],
  ['names release --iss', 'names release --issuer'],
  ['check --config gate', 'check --config gateway.yaml'],
  ['explain --via s', 'explain --via session'],
] as const

/** Types lines at a terminal, and tells what stands there after the Tab key. */
const zshTyping = (before: string, after: string): string => `
zmodload zsh/zpty zsh/zselect
zpty -b shell zsh -f -i
await() {
  local part i
  out=''
  for i in {1..500}; do
    while zpty -rt shell part; do out+=$part; done
    [[ $out == *"$1"* ]] && return
    zselect -t 2
  done
}
zpty -w shell "PS1='%% '; cd '${folder}'; ${before}; autoload -Uz compinit; compinit -u -D; ${after}; print RE''ADY"
await READY
while read -r line wanted; do
  zpty -n -w shell "trac-gateway \${line//_/ }"$'\t'
  await "trac-gateway \${wanted//_/ }"
  [[ $out == *"trac-gateway \${wanted//_/ }"* ]] && print -r -- "$line" || print -r -- "$line: \${(V)out}"
  zpty -n -w shell $'\x15'
done
zpty -d shell
`

await t.test('zsh completes the same, at a terminal', async (t) => {
  const script = join(folder, '_trac-gateway')
  const { out } = run(['completion', 'zsh'])
  t.match(out, /^#compdef trac-gateway/)
  writeFileSync(script, out)
  const lines = typed.map((pair) => pair.map((text) => text.replaceAll(' ', '_')).join(' '))
  // Sourced, and as a file where zsh looks for functions.
  const onPath = `fpath=('${folder}' $fpath)`
  for (const [before, after] of [
    ['true', `source '${script}'`],
    [onPath, 'true'],
  ] as const) {
    const { stdout } = spawnSync('zsh', ['-f', '-c', zshTyping(before, after)], {
      encoding: 'utf8',
      input: `${lines.join('\n')}\n`,
      timeout: 90_000,
    })
    t.same(
      stdout.trimEnd().split('\n'),
      typed.map(([line]) => line.replaceAll(' ', '_')),
    )
  }
})

await t.test('fish completes the same, and says what each is for', async (t) => {
  const script = join(folder, 'completion.fish')
  writeFileSync(script, run(['completion', 'fish']).out)
  const asked = typed.map(([line]) => `echo "[${line}]"; complete -C 'trac-gateway ${line}'`)
  const { stdout } = spawnSync(
    'fish',
    ['--no-config', '-c', [`source '${script}'`, ...asked].join('\n')],
    { encoding: 'utf8', cwd: folder, timeout: 60_000, input: '' },
  )
  for (const [line, wanted] of typed) {
    const [, rest = ''] = stdout.split(`[${line}]\n`)
    const [first = ''] = rest.split('\n')
    t.equal(first.split('\t')[0], wanted.split(' ').at(-1))
    if (!wanted.endsWith('.yaml')) t.match(first, /\t\S/, wanted)
  }
})

await t.test('fish has every command, and another shell is told which there are', async (t) => {
  const fish = run(['completion', 'fish']).out
  for (const { name } of commands) t.match(fish, ` -a ${name} -d `)
  t.match(run(['completion', 'tcsh']), { code: 2, said: /wanted bash, zsh, fish/ })
})
