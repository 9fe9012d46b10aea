/**
 * The one table of all commands: what each is called, takes and does. Help, shell completion and
 * `deploy/docs/reference/commands.md` are made from it; a new command is a row here.
 *
 * What a command needs is loaded when it runs: the whole gateway takes a second of a small machine.
 */
import { readVersion } from '../core/version.js'
import { WrongUse, configOption, jsonOption } from './command.js'
import type { Call, CommandSpec, OptionSpec } from './command.js'
import { completionScript, shells } from './completion.js'
import { importOptions } from './import/options.js'
import { initOptions } from './init/options.js'
import type { NamesAction } from './names.js'
import { smokeOptions } from './smoke/options.js'
import { usersOptions } from './users/options.js'

/** The two commands that the process itself runs. */
export interface ProcessRuns {
  readonly start: (call: Call) => Promise<number>
  readonly demo: (call: Call) => Promise<number>
}

/** Options of every command that reads the configuration and answers programs, too. */
const usual = [configOption, jsonOption]

const configOf = (call: Call): string => call.text('config') ?? 'gateway.yaml'

/** How commands that print by themselves are called. */
const printing = ({ env, out }: Call) => ({
  env,
  print: (text: string) => out.print(text),
  progress: out.progress,
})

/** One of `trac-gateway names`. */
function namesCommand(
  row: Omit<CommandSpec, 'run'>,
  toAction: (call: Call) => NamesAction,
): CommandSpec {
  return {
    ...row,
    options: [...usual, ...(row.options ?? [])],
    run: async (call) => {
      const action = toAction(call)
      const { names } = await import('./names.js')
      return names(configOf(call), action, { json: call.flag('json'), ...printing(call) })
    },
  }
}

/** What `names release` was asked for: a name, or an issuer. */
function toRelease(call: Call): NamesAction {
  const [name] = call.operands
  const issuer = call.text('issuer')
  if (name !== undefined && issuer === undefined) return { do: 'release', name }
  if (name === undefined && issuer !== undefined) return { do: 'releaseIssuer', issuer }
  throw new WrongUse('name one user name, or --issuer')
}

const namesCommands: readonly CommandSpec[] = [
  namesCommand(
    {
      name: 'list',
      summary: 'all names and who has them',
      example: 'trac-gateway names list',
    },
    () => ({ do: 'list' }),
  ),
  namesCommand(
    {
      name: 'reserve',
      operands: '<names...>',
      summary: 'keep names for nobody, until an alias gives one to somebody',
      example: 'trac-gateway names reserve root admin',
    },
    ({ operands }) => ({ do: 'reserve', names: operands }),
  ),
  namesCommand(
    {
      name: 'release',
      operands: '[name]',
      summary: 'take a name from whoever has it, and end their sessions and tokens',
      options: [{ flags: '--issuer <url>', description: 'all names of the people of an issuer' }],
      example: 'trac-gateway names release carl',
    },
    toRelease,
  ),
  namesCommand(
    {
      name: 'export',
      summary: 'all names as lines of JSON, for import',
      example: 'trac-gateway names export > names',
    },
    () => ({ do: 'export' }),
  ),
  namesCommand(
    {
      name: 'import',
      operands: '[file]',
      summary: 'take names over from an export; from standard input without a file',
      example: 'trac-gateway names import names',
    },
    ({ operands: [file] }) => ({ do: 'import', file }),
  ),
]

const explainOptions: readonly OptionSpec[] = [
  configOption,
  { flags: '-u, --user <name>', description: 'somebody, by the name that Trac knows' },
  { flags: '-g, --groups <names>', description: 'the groups of the user, with commas', many: true },
  {
    flags: '-p, --permissions <names>',
    description: 'what the permissions claim of the user names, with commas',
    many: true,
  },
  { flags: '--scopes <names>', description: 'the scopes of the token, with commas', many: true },
  {
    flags: '--via <credential>',
    description: 'how the user comes (default: session)',
    values: ['session', 'bearer'],
  },
  { flags: '--token <token>', description: 'a Bearer token; - reads it from standard input' },
  {
    flags: '--cookie <cookie>',
    description:
      'a Cookie header, or the value of the session cookie; - reads it from standard input',
  },
  { flags: '--anonymous', description: 'nobody who has signed in (also without any of these)' },
  { flags: '-X, --method <method>', description: 'the method', default: 'GET' },
  { flags: '-H, --header <line>', description: 'a header: "Name: value"', many: true },
  { flags: '--browser', description: 'with the headers of a browser that follows a link' },
  {
    flags: '--curl <line>',
    description: 'a whole curl line instead; - reads it from standard input',
  },
  {
    flags: '--peer <address>',
    description:
      'who is at the other end of the connection (default: the proxy in front, if there is one)',
  },
  { flags: '--online', description: 'let keys and userinfo be fetched from the provider' },
  { flags: '--running', description: 'ask the gateway that runs, with what it knows' },
  jsonOption,
]

/** What is said of a configuration and its policy. */
const policyCommands: readonly CommandSpec[] = [
  {
    name: 'check',
    summary: 'say all that is wrong with a configuration, or worth a thought; start nothing',
    options: [
      ...usual,
      { flags: '--strict', description: 'exit with 1 for what is only worth a thought, too' },
      {
        flags: '--online',
        description: 'look at provider, session store, Trac and front proxy, too, as doctor does',
      },
    ],
    example: 'trac-gateway check --strict --config gateway.yaml',
    run: async (call) => {
      const { check, checkOnline } = await import('./check.js')
      const { out } = call
      const flags = { json: call.flag('json'), strict: call.flag('strict') }
      const options = { ...flags, ...printing(call), paint: out.paint }
      return call.flag('online')
        ? checkOnline(configOf(call), options, out)
        : check(configOf(call), options)
    },
  },
  {
    name: 'routes',
    summary:
      'print the whole policy in the order in which it is tried, rows that no request reaches marked, and what each group may do',
    options: [...usual, { flags: '--markdown', description: 'as tables in Markdown' }],
    example: 'trac-gateway routes --markdown',
    run: async (call) => {
      const { routes } = await import('./routes.js')
      const { out } = call
      const flags = { json: call.flag('json'), markdown: call.flag('markdown') }
      return routes(configOf(call), { ...flags, ...printing(call), paint: out.paint })
    },
  },
  {
    name: 'explain',
    operands: '[target...]',
    summary:
      'say what would become of a request, and why: each check, the route, the permissions with their origin, the headers that would go; changes nothing',
    options: explainOptions,
    example: [
      'trac-gateway explain --user alice --groups students --method POST /ticket/7',
      "pbpaste | trac-gateway explain --curl -    # a line that the browser's tools copied",
    ].join('\n'),
    run: async (call) => (await import('./explain.js')).explain(call),
  },
  {
    name: 'test',
    operands: '<file>',
    summary: 'hold the policy against expectations in YAML; each failure with what explain says',
    options: [
      ...usual,
      { flags: '--junit <file>', description: 'write the results for a CI server, too' },
    ],
    example: 'trac-gateway test policy.tests.yaml --junit results.xml',
    run: async (call) => (await import('./test.js')).testPolicy(call),
  },
  {
    name: 'replay',
    operands: '[files...]',
    summary:
      'judge the decisions of an audit log by this configuration: every outcome that changes, by route and user; exit code 1 if one does',
    options: [
      ...usual,
      {
        flags: '--since <when>',
        description: 'leave out what was before a date, or a span before now',
      },
    ],
    example: 'zcat -f gateway.log* | trac-gateway replay --config new.yaml --since 24h -',
    run: async (call) => (await import('./replay.js')).replay(call),
  },
]

/** What is asked of a roll-out. */
const rollOutCommands: readonly CommandSpec[] = [
  {
    name: 'smoke',
    summary:
      'try a gateway that runs, from anywhere, by HTTP alone: tokens, refusals, groups, pages, sign-in, log-out, latency; a tick or a cross each',
    options: smokeOptions,
    example: [
      'trac-gateway smoke --url https://trac.example.edu/trac --token-file - < token',
      'trac-gateway smoke --url https://trac.example.edu/trac --cognito-client-id 1example23456789 --region us-east-2',
    ].join('\n'),
    run: async (call) => (await import('./smoke.js')).smoke(call),
  },
  {
    name: 'import',
    summary:
      'read a Trac and write what the gateway needs of it: gateway.yaml, lines for trac.ini, names to reserve, and what could not be carried over; Trac stays as it is',
    options: importOptions,
    example: [
      'trac-gateway import --env /srv/trac/env --out moving-in',
      'trac-gateway import --permissions grants.csv --trac-ini trac.ini',
      'trac-gateway import --env /srv/trac/env --out moving-in --diff    # later: what changed since',
    ].join('\n'),
    run: async (call) => (await import('./import.js')).importTrac(call),
  },
]

/** People who never signed in. */
const usersCommand: CommandSpec = {
  name: 'users',
  operands: '[file]',
  summary:
    'make people of a user pool known to Trac before they sign in: lines for trac-admin, or --env; from what "aws cognito-idp list-users" prints, or CSV; from standard input without a file',
  options: [...usual, ...usersOptions],
  example: [
    'aws cognito-idp list-users --user-pool-id us-east-2_Example | trac-gateway users --env /srv/trac/env',
    'trac-gateway users people.csv > add-users.sh',
  ].join('\n'),
  run: async (call) => (await import('./users.js')).users(call),
}

/** What is said of a whole set-up. */
const setUpCommands: readonly CommandSpec[] = [
  {
    name: 'doctor',
    summary:
      'look at provider, client, session store, Trac and front proxy, and say what is good, what is bad, and what to do; exit code 1 if something is bad',
    options: [
      ...usual,
      {
        flags: '--trac-env <folder>',
        description: 'the Trac environment, if it is on this machine: its trac.ini and key file',
      },
      {
        flags: '--environment <name>',
        description:
          'which of several environments to look at (default: each that has a plain name)',
      },
      {
        flags: '--token <token>',
        description: 'read what a token says of its person; - reads it from standard input',
      },
      {
        flags: '--sign-in',
        description: 'sign in by a browser on this machine, and read what the token says',
      },
      {
        flags: '--sign-in-port <port>',
        description:
          'where the browser comes back to: http://localhost:<port>/callback (default: 8976)',
      },
    ],
    example: 'trac-gateway doctor --config gateway.yaml --trac-env /srv/trac/course',
    run: async (call) => (await import('./doctor.js')).doctor(call),
  },
  {
    name: 'init',
    summary:
      'ask six questions, find out the rest, write gateway.yaml, the secrets, the key file and the lines for trac.ini, and look at it as doctor does; overwrites nothing',
    options: [...usual, ...initOptions],
    example: [
      'trac-gateway init',
      'trac-gateway init --public-url https://trac.example.edu/trac --issuer us-east-2_Example --client-id 1example23456789 \\',
      '  --client-secret none --trac http://127.0.0.1:8001 --trac-env /srv/trac/course',
    ].join('\n'),
    run: async (call) => (await import('./init.js')).init(call),
  },
]

/** All commands, in the order in which help lists them. */
export function commandsWith(process: ProcessRuns): readonly CommandSpec[] {
  const all: CommandSpec[] = [
    {
      name: 'start',
      isDefault: true,
      summary:
        'serve until SIGTERM or SIGINT (also without a command); SIGHUP reads configuration and certificate again',
      options: [configOption],
      example: 'trac-gateway start --config gateway.yaml',
      run: process.start,
    },
    ...policyCommands,
    ...setUpCommands,
    ...rollOutCommands,
    usersCommand,
    {
      name: 'revoke',
      summary: 'end all sessions and Bearer use of one user, in the gateway that runs',
      options: [
        {
          flags: '-u, --user <name>',
          description: 'the name as Trac knows it',
          required: true,
        },
        ...usual,
      ],
      example: 'trac-gateway revoke --user alice',
      run: async (call) => {
        const { revoke } = await import('./revoke.js')
        const user = call.text('user') ?? ''
        return revoke(configOf(call), { user, json: call.flag('json'), ...printing(call) })
      },
    },
    {
      name: 'names',
      summary: 'show and settle whose user name is whose, in the gateway that runs',
      example: 'trac-gateway names list',
      commands: namesCommands,
    },
    {
      name: 'completion',
      operands: '<shell>',
      summary: `print what completes commands and options in a shell: ${shells.join(', ')}`,
      example: [
        'source <(trac-gateway completion bash)      # zsh likewise, after compinit',
        'trac-gateway completion fish > ~/.config/fish/completions/trac-gateway.fish',
      ].join('\n'),
      run: async ({ operands: [shell = ''], out }) => {
        const script = completionScript(shell, all)
        if (script === undefined) {
          throw new WrongUse(
            `found the shell ${JSON.stringify(shell)}; wanted ${shells.join(', ')}`,
          )
        }
        out.print(script)
        return 0
      },
    },
    {
      name: 'version',
      summary: 'print the version',
      options: [jsonOption],
      example: 'trac-gateway version',
      run: async (call) => {
        const version = readVersion()
        call.out.print(call.flag('json') ? `${JSON.stringify({ version })}\n` : `${version}\n`)
        return 0
      },
    },
    {
      name: 'demo',
      summary:
        'a real Trac, a provider that looks like Cognito and this gateway, on this machine; only in a checkout',
      example: 'npm run demo',
      run: process.demo,
    },
  ]
  return all
}
