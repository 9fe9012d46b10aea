#!/usr/bin/env node
/** The process: commands, signals, exit codes (0 done, 1 problems found, 2 wrong usage). */
import { Command, CommanderError } from 'commander'
import type { NamesAction } from './cli/names.js'
import { suggest } from './config/problems.js'
import { readVersion } from './core/version.js'
import type { runDemo as RunDemoFunction } from './demo/demo.js'

type RunDemo = typeof RunDemoFunction

const defaultConfig = 'gateway.yaml'

/** What each command needs is loaded when it runs: the whole gateway takes a second of a small machine. */
const load = {
  start: async () => (await import('./cli/start.js')).start,
  check: async () => (await import('./cli/check.js')).check,
  routes: async () => (await import('./cli/routes.js')).routes,
  revoke: async () => (await import('./cli/revoke.js')).revoke,
  names: async () => (await import('./cli/names.js')).names,
}

/**
 * Serves until SIGTERM or SIGINT; SIGHUP reads configuration and certificate again. Who presses Ctrl-C has no balancer
 * that must notice first.
 */
async function serve(path: string): Promise<number> {
  const start = await load.start()
  const started = await start(path, { env: process.env })
  if (started === undefined) return 1
  process.on('SIGHUP', () => void started.reload())
  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
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
  const start = await load.start()
  return runDemo({
    environment: process.env,
    startGateway: async (configPath, environment) => {
      const started = await start(configPath, { env: { ...process.env, ...environment } })
      if (started === undefined) throw new Error('the gateway did not start')
      return { close: () => started.close(0) }
    },
  })
}

function createProgram(finish: (code: number) => void): Command {
  const program = new Command('trac-gateway')
  const config = ['-c, --config <file>', 'the configuration', defaultConfig] as const
  program
    .description('OpenID Connect sign-in, Bearer tokens and a route policy in front of Trac')
    .version(readVersion())
    .exitOverride()
    .showHelpAfterError()
  program
    .command('start', { isDefault: true })
    .description('serve (also without a command)')
    .option(...config)
    .action(async (options: { config: string }) => finish(await serve(options.config)))
  program
    .command('check')
    .description('say all that is wrong with a configuration, and start nothing')
    .option(...config)
    .option('--json', 'for machines', false)
    .action(async (options: { config: string; json: boolean }) =>
      finish((await load.check())(options.config, { json: options.json, env: process.env })),
    )
  program
    .command('routes')
    .description('print the whole policy in the order in which it is tried')
    .option(...config)
    .option('--json', 'for machines', false)
    .action(async (options: { config: string; json: boolean }) =>
      finish((await load.routes())(options.config, { json: options.json, env: process.env })),
    )
  program
    .command('revoke')
    .description('end all sessions and Bearer use of one user, in the gateway that runs')
    .requiredOption('-u, --user <name>', 'the name as Trac knows it')
    .option(...config)
    .option('--json', 'for machines', false)
    .action(async (options: { user: string; config: string; json: boolean }) =>
      finish(await (await load.revoke())(options.config, { ...options, env: process.env })),
    )
  addNames(program, finish)
  program
    .command('version')
    .description('print the version')
    .action(() => {
      process.stdout.write(`${readVersion()}\n`)
      finish(0)
    })
  program
    .command('demo')
    .description(
      'a real Trac, a provider that looks like Cognito and this gateway, on this machine',
    )
    .action(async () => finish(await demo()))
  return program
}

/** `trac-gateway names …`: one command for each thing that can be done. */
function addNames(program: Command, finish: (code: number) => void): void {
  const group = program.command('names').description('show and settle whose user name is whose')
  const add = (
    usage: string,
    description: string,
    toAction: (words: readonly string[], issuer: string | undefined) => NamesAction | undefined,
  ): Command => {
    const command = group
      .command(usage)
      .description(description)
      .option('-c, --config <file>', 'the configuration', defaultConfig)
      .option('--json', 'for machines', false)
    return command.action(async () => {
      const { config, json, issuer } = command.opts<NamesFlags>()
      const action = toAction(command.args, issuer)
      if (action === undefined) {
        command.error('error: name one user name, or --issuer', { exitCode: 2 })
      } else finish(await (await load.names())(config, action, { json, env: process.env }))
    })
  }
  add('list', 'all names and who has them', () => ({ do: 'list' }))
  const reserve = 'keep names for nobody, until an alias gives one to somebody'
  add('reserve <names...>', reserve, (all) => ({ do: 'reserve', names: all }))
  const release = 'take a name from whoever has it, and end their sessions and tokens'
  add('release [name]', release, ([name], issuer) => {
    if (name !== undefined) return issuer === undefined ? { do: 'release', name } : undefined
    return issuer === undefined ? undefined : { do: 'releaseIssuer', issuer }
  }).option('--issuer <url>', 'all names of the people of an issuer')
  add('export', 'all names as lines of JSON, for import', () => ({ do: 'export' }))
  const take = 'take names over from an export; from standard input without a file'
  add('import [file]', take, ([file]) => ({ do: 'import', file }))
}

interface NamesFlags {
  readonly config: string
  readonly json: boolean
  readonly issuer?: string
}

/** What stands where a command would, and is none; undefined if all is well. */
function findMistyped(program: Command, [word = '-']: readonly string[]): string | undefined {
  const known = ['help', ...program.commands.map((command) => command.name())]
  if (word.startsWith('-') || known.includes(word)) return undefined
  const near = suggest(word, known)
  const hint = near === undefined ? `one of ${known.toSorted().join(', ')}` : near
  return `found the command ${JSON.stringify(word)}; wanted ${hint}`
}

const program = createProgram((code) => {
  process.exitCode = code
})
const mistyped = findMistyped(program, process.argv.slice(2))
try {
  if (mistyped !== undefined) program.error(mistyped, { exitCode: 2 })
  await program.parseAsync()
} catch (error) {
  // Commander has said what it wants; help and version are no errors.
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? 0 : 2
}
