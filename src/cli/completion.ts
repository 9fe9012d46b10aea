/** Shell completion, written from the table of commands: commands, their options, values of options, and files. */
import { takesValue } from './command.js'
import type { CommandSpec, OptionSpec } from './command.js'

/** The shells that there is a script for. */
export const shells = ['bash', 'zsh', 'fish'] as const

/** The flags of an option: `-c` and `--config`. */
const flagsOf = ({ flags }: OptionSpec): readonly string[] => flags.match(/--?[a-z][a-z-]*/g) ?? []

const quote = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** Each command with the words that lead to it. */
function walk(
  commands: readonly CommandSpec[],
  before: readonly string[] = [],
): readonly (readonly [words: readonly string[], command: CommandSpec])[] {
  return commands.flatMap((command) => {
    const words = [...before, command.name]
    return [[words, command] as const, ...walk(command.commands ?? [], words)]
  })
}

/** What may follow the words of a command: its own commands, else its options. */
function wordsAfter({ commands, options = [] }: CommandSpec): readonly string[] {
  const named = commands?.map(({ name }) => name) ?? []
  return [...named, ...options.flatMap(flagsOf), '--help']
}

/** One `case` in bash for each option that takes a value: its values, or files. */
function valueCases(all: readonly CommandSpec[]): readonly string[] {
  const byFlag = new Map<string, readonly string[] | undefined>()
  for (const { options = [] } of all) {
    for (const option of options.filter(takesValue)) {
      for (const flag of flagsOf(option)) byFlag.set(flag, option.values)
    }
  }
  return [...byFlag].map(([flag, values]) => {
    const words = values === undefined ? '-f' : `-W ${quote(values.join(' '))}`
    return `    ${flag}) COMPREPLY=($(compgen ${words} -- "$word")); return;;`
  })
}

function bashScript(commands: readonly CommandSpec[]): string {
  const walked = walk(commands)
  const top = [...commands.map(({ name }) => name), '--help', '--version']
  const cases = walked.map(
    ([words, command]) =>
      `    ${quote(words.join(' '))}) words=${quote(wordsAfter(command).join(' '))};;`,
  )
  return `# Completion of trac-gateway for bash: source <(trac-gateway completion bash)
_trac_gateway() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} path='' words one
  case "$before" in
${valueCases(walked.map(([, command]) => command)).join('\n')}
  esac
  for one in "\${COMP_WORDS[@]:1:$((COMP_CWORD-1))}"; do
    case "$path $one" in
${walked.map(([words]) => `      ${quote([words.length === 1 ? '' : words.slice(0, -1).join(' '), words.at(-1)].join(' '))}) path=${quote(words.join(' '))};;`).join('\n')}
    esac
  done
  case "$path" in
    '') words=${quote(top.join(' '))};;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [ \${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$word")); fi
}
complete -F _trac_gateway trac-gateway
`
}

/** zsh runs the script for bash; an offset there must not begin with a letter. */
function zshScript(commands: readonly CommandSpec[]): string {
  const head = '#compdef trac-gateway\nautoload -U +X bashcompinit && bashcompinit\n'
  const script = bashScript(commands).replace(
    'bash: source <(trac-gateway completion bash)',
    'zsh: source <(trac-gateway completion zsh)',
  )
  // As a file of fpath it is read at the first Tab key, which wants an answer, too.
  const asFile = '[ "${funcstack[1]-}" != _trac-gateway ] || _bash_complete -F _trac_gateway\n'
  return head + script + asFile
}

function fishScript(commands: readonly CommandSpec[]): string {
  const lines = ['# Completion of trac-gateway for fish: trac-gateway completion fish | source']
  for (const [words, { summary, options = [] }] of walk(commands)) {
    const [name = '', ...parents] = words.toReversed()
    const condition =
      parents.length === 0
        ? '__fish_use_subcommand'
        : `__fish_seen_subcommand_from ${parents.toReversed().join(' ')}`
    lines.push(`complete -c trac-gateway -f -n ${quote(condition)} -a ${name} -d ${quote(summary)}`)
    for (const option of options) lines.push(fishOption(words, option))
  }
  return `${lines.join('\n')}\n`
}

function fishOption(words: readonly string[], option: OptionSpec): string {
  const parts = [
    'complete -c trac-gateway',
    `-n ${quote(words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and '))}`,
    ...flagsOf(option).map((flag) =>
      flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
    ),
    `-d ${quote(option.description)}`,
  ]
  if (takesValue(option)) parts.push('-r')
  if (option.values !== undefined) parts.push(`-f -a ${quote(option.values.join(' '))}`)
  return parts.join(' ')
}

/** The script for a shell; undefined for one that is not known. */
export function completionScript(
  shell: string,
  commands: readonly CommandSpec[],
): string | undefined {
  const scripts: Readonly<Record<string, (all: readonly CommandSpec[]) => string>> = {
    bash: bashScript,
    zsh: zshScript,
    fish: fishScript,
  }
  return Object.hasOwn(scripts, shell) ? scripts[shell]?.(commands) : undefined
}
