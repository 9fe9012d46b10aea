#!/usr/bin/env node
/** The process: reads the command line, signals, exit codes (0 done, 1 problems found, 2 wrong usage). */
import cluster from 'node:cluster'
import { Command, CommanderError, Option } from 'commander'
import { WrongUse, optionName } from './cli/command.js'
import type { Call, CommandSpec, OptionSpec, Output } from './cli/command.js'
import { commandsWith } from './cli/commands.js'
import type { Started } from './cli/start.js'
import { createOutput } from './cli/output.js'
import { suggest } from './config/problems.js'
import { readVersion } from './core/version.js'
import type { runDemo as RunDemoFunction } from './demo/demo.js'

type RunDemo = typeof RunDemoFunction

const loadStart = async () => (await import('./cli/start.js')).start

/**
 * Serves until SIGTERM or SIGINT; SIGHUP reads configuration and certificate again. Who presses Ctrl-C has no balancer
 * that must notice first.
 */
async function serve(call: Call): Promise<number> {
  if (cluster.isWorker) {
    const { work } = await import('./cli/workers/worker.js')
    work(call.text('config') ?? '', process.env, process)
    return 0
  }
  // Workers serve one after the other: what is asked of the process while it starts is done when all do.
  const ending = new Promise<NodeJS.Signals>((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
  let started: Started | undefined
  let mustReload = false
  process.on('SIGHUP', () => {
    mustReload = started === undefined
    void started?.reload()
  })
  const start = await loadStart()
  started = await start(call.text('config') ?? '', { env: process.env })
  if (started === undefined) return 1
  if (mustReload) void started.reload()
  const signal = await ending
  await started.close(signal === 'SIGINT' ? 0 : undefined)
  return 0
}

/** The demo's parts are development dependencies: neither an image nor a package has them. */
async function demo(): Promise<number> {
  let runDemo: RunDemo
  try {
    runDemo = (await import('./demo/demo.js')).runDemo
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    process.stderr.write('The demo runs from a checkout of the project: npm ci && npm run demo\n')
    return 1
  }
  const start = await loadStart()
  return runDemo({
    environment: process.env,
    startGateway: async (configPath, environment) => {
      const started = await start(configPath, { env: { ...process.env, ...environment } })
      if (started === undefined) throw new Error('the gateway did not start')
      return { close: () => started.close(0) }
    },
  })
}

function toOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.description)
  if (spec.default !== undefined) option.default(spec.default)
  if (spec.values !== undefined) option.choices([...spec.values])
  if (spec.required === true) option.makeOptionMandatory()
  if (spec.many === true) {
    option.argParser((value: string, before: readonly string[] | undefined) => [
      ...(before ?? []),
      value,
    ])
  }
  return option
}

/** What a command line says, as the command reads it. */
function toCall(command: Command, options: readonly OptionSpec[], out: Output): Call {
  const attributes = new Map(
    options.map((spec) => [optionName(spec), new Option(spec.flags).attributeName()]),
  )
  const given = command.opts<Record<string, unknown>>()
  const valueOf = (name: string): unknown => given[attributes.get(name) ?? name]
  return {
    operands: command.args,
    env: process.env,
    out,
    text: (name) => {
      const value = valueOf(name)
      return typeof value === 'string' ? value : undefined
    },
    texts: (name) => {
      const value = valueOf(name)
      return Array.isArray(value) ? (value as readonly string[]) : []
    },
    flag: (name) => valueOf(name) === true,
  }
}

/** Adds the commands of the table; `finish` gets the exit code of the one that ran. */
function addCommands(
  parent: Command,
  specs: readonly CommandSpec[],
  out: Output,
  finish: (code: number) => void,
): void {
  for (const { name, operands, summary, options = [], example, isDefault, ...spec } of specs) {
    const usage = operands === undefined ? name : `${name} ${operands}`
    const command = parent.command(usage, { isDefault: isDefault === true }).description(summary)
    for (const option of options) command.addOption(toOption(option))
    const lines = example.split('\n').map((line) => `  ${line}`)
    command.addHelpText('after', `\nExample:\n${lines.join('\n')}`)
    const { run, commands } = spec
    if (commands !== undefined) addCommands(command, commands, out, finish)
    if (run === undefined) continue
    command.action(async () => {
      try {
        finish(await run(toCall(command, options, out)))
      } catch (error) {
        if (!(error instanceof WrongUse)) throw error
        command.error(`error: ${error.message}`, { exitCode: 2 })
      }
    })
  }
}

/** What stands where a command would, and is none; undefined if all is well. */
function findMistyped(program: Command, [word = '-']: readonly string[]): string | undefined {
  const known = ['help', ...program.commands.map((command) => command.name())]
  if (word.startsWith('-') || known.includes(word)) return undefined
  const near = suggest(word, known)
  const hint =
    near === undefined ? `one of ${known.toSorted().join(', ')}` : `${near} (did you mean that?)`
  return `found the command ${JSON.stringify(word)}; wanted ${hint}`
}

const program = new Command('trac-gateway')
  .description('OpenID Connect sign-in, Bearer tokens and a route policy in front of Trac')
  .version(readVersion())
  .exitOverride()
  .showHelpAfterError()
addCommands(
  program,
  commandsWith({ start: serve, demo }),
  createOutput(process.stdout, process.stderr, process.env),
  (code) => {
    process.exitCode = code
  },
)
const mistyped = findMistyped(program, process.argv.slice(2))
try {
  if (mistyped !== undefined) program.error(mistyped, { exitCode: 2 })
  await program.parseAsync()
} catch (error) {
  // Commander has said what it wants; help and version are no errors.
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? 0 : 2
}
