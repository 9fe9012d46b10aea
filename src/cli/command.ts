/** What a command is: declared as data in `commands.ts`, from which help, completion and the reference are made. */

/** One option of a command. */
export interface OptionSpec {
  /** As help shows it: `-c, --config <file>`; without `<…>` it is a flag. */
  readonly flags: string
  readonly description: string
  readonly default?: string
  /** Whether the command can't run without it. */
  readonly required?: true
  /** Whether it may come more than once. */
  readonly many?: true
  /** All values that it takes. */
  readonly values?: readonly string[]
}

/** One command. It either runs or has commands of its own. */
export interface CommandSpec {
  readonly name: string
  /** What follows the name: `<file>`, `[file]`, `<names...>`. */
  readonly operands?: string
  readonly summary: string
  readonly options?: readonly OptionSpec[]
  /** Lines that work when they are typed. */
  readonly example: string
  /** Whether it also runs when no command is named. */
  readonly isDefault?: true
  /** @returns the exit code: 0 done, 1 problems found. @throws WrongUse — 2 */
  readonly run?: (call: Call) => Promise<number>
  readonly commands?: readonly CommandSpec[]
}

/** One call of a command. */
export interface Call {
  readonly operands: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly out: Output
  /** What an option was given, or its default. */
  text(option: string): string | undefined
  /** All values of an option that may come more than once. */
  texts(option: string): readonly string[]
  /** Whether a flag was given. */
  flag(option: string): boolean
}

/** Kinds of text that a terminal shows in colours of their own. */
export type Tone = 'good' | 'bad' | 'warn' | 'strong' | 'dim'

/** Where a command writes. */
export interface Output {
  /** Standard output. */
  print(text: string): void
  /** Standard error. */
  note(text: string): void
  /** The text in a colour on a terminal, and as it is everywhere else. */
  paint(tone: Tone, text: string): string
  /** Standard error, if that is a terminal: where a progress bar may be drawn. */
  readonly progress: ((text: string) => void) | undefined
}

/** A command was used in a way that it does not know: exit code 2. */
export class WrongUse extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'WrongUse'
  }
}

/** The configuration, as nearly every command takes it. */
export const configOption: OptionSpec = {
  flags: '-c, --config <file>',
  description: 'the configuration',
  default: 'gateway.yaml',
}

/** Output for programs. */
export const jsonOption: OptionSpec = { flags: '--json', description: 'for machines' }

/** The long name of an option: `config` of `-c, --config <file>`. */
export function optionName({ flags }: Pick<OptionSpec, 'flags'>): string {
  return /--([a-z][a-z-]*)/.exec(flags)?.[1] ?? ''
}

/** Whether an option takes a value. */
export const takesValue = ({ flags }: Pick<OptionSpec, 'flags'>): boolean => flags.includes('<')
