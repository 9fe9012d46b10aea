/** A real Trac for the demo and the tests: its virtual environment, an environment with content, tracd. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { homedir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { SigningKey } from '../trac/signature.js'

const run = promisify(execFile)

/** `deploy/trac/`, as far from `src/demo/` as it is from `dist/demo/`. */
const deployFolder = fileURLToPath(new URL('../../deploy/trac/', import.meta.url))

/** The bridge, as it is installed in an environment's `plugins/`. */
export const bridgeFile = join(deployFolder, 'trac_gateway.py')

/** What goes into the virtual environment; the stamp of a finished one is a copy of it. */
const requirementsFile = join(deployFolder, 'demo-requirements.txt')

/** How long a server may take until its port is open, in milliseconds (tracd needs about 700). */
const startTimeout = 30_000

/** How long a server may take to end after SIGTERM before it is killed, in milliseconds. */
const stopTimeout = 5000

/** Where a Python is looked for; Debian's own first, since its Apache module can use what is made with it. */
const pythons: readonly string[] = ['/usr/bin/python3', 'python3']

/** Receives one line of progress. */
export type Report = (line: string) => void

/** An ini file's sections, as they are laid over the ones that {@link createEnvironment} writes. */
export type Ini = Readonly<Record<string, Readonly<Record<string, string>>>>

/** What an environment is made of. */
export interface EnvironmentOptions {
  /** The folder that becomes the environment; it must not exist yet. */
  readonly environment: string
  /** A Python that can import Trac, as {@link installTrac} returns it. */
  readonly python: string
  /** The keys of the bridge's key file: one, or two while the key changes. */
  readonly keys: readonly SigningKey[]
  /** What browsers see, with the base path; it goes into mails and redirects. */
  readonly publicUrl: string
  /** Trac's connection string, such as `postgres://user:password@host/name`; a file of SQLite's by default. */
  readonly database?: string
  /** Settings of `trac.ini` beside or instead of the usual ones. */
  readonly ini?: Ini
}

/** How tracd is to listen: always on 127.0.0.1. */
export interface TracdOptions {
  readonly environment: string
  readonly python: string
  readonly port: number
  /** Empty text, or a path without a slash at its end: `/trac`. */
  readonly basePath: string
}

/** What {@link startTrac} needs. */
export interface TracOptions
  extends Omit<EnvironmentOptions, 'python'>, Omit<TracdOptions, 'python'> {
  readonly report?: Report
}

/** A running server. */
export interface RunningTrac {
  /** The origin, without the base path: what `upstreams.trac.url` is set to. */
  readonly url: string
  readonly environment: string
  /** Ends the process and resolves once it has ended. */
  readonly stop: () => Promise<void>
}

/** Where virtual environments are kept between runs, outside of the checkout; `test/setup` uses the same. */
export function cacheFolder(): string {
  const { TRAC_GATEWAY_CACHE: own, XDG_CACHE_HOME: xdg } = process.env
  return resolve(own || join(xdg || join(homedir(), '.cache'), 'trac-gateway'))
}

/** Whether `python` can make a virtual environment that Trac 1.6 runs in. */
async function isUsable(python: string): Promise<boolean> {
  const probe = 'import sys, ensurepip, venv, sqlite3; sys.exit(sys.version_info < (3, 8))'
  return run(python, ['-c', probe]).then(
    () => true,
    () => false,
  )
}

async function findPython(candidates: readonly string[]): Promise<string> {
  for (const python of candidates) {
    if (await isUsable(python)) return python
  }
  throw new Error(
    'Python 3.8 or later with venv and pip is needed for Trac: install it (on Debian: apt-get install python3 python3-venv).',
  )
}

/** The last lines of what a failed command said. */
function lastWords(error: unknown): string {
  const text = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)
  return text.trim().split('\n').slice(-5).join('\n')
}

async function isFinished(folder: string): Promise<boolean> {
  const stamp = await readFile(join(folder, 'stamp'), 'utf8').catch(() => '')
  return stamp === (await readFile(requirementsFile, 'utf8'))
}

/**
 * Makes the virtual environment with Trac 1.6 in the cache folder, unless it is there, and returns its Python.
 * It is made under another name and then renamed, so a half-made one is never taken for a whole one.
 * @throws Error that says what to install, if there is no usable Python.
 */
export async function installTrac(
  report: Report = () => {},
  candidates: readonly string[] = pythons,
): Promise<string> {
  const folder = join(cacheFolder(), 'trac-1.6')
  const python = join(folder, 'bin', 'python')
  if (await isFinished(folder)) return python
  const base = await findPython(candidates)
  const unfinished = `${folder}.${process.pid}`
  report('Making a virtual environment with Trac 1.6 (once) …')
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(cacheFolder(), { recursive: true })
  try {
    await run(base, ['-m', 'venv', unfinished])
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    await run(join(unfinished, 'bin', 'python'), [...pip, '-r', requirementsFile])
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true })
    throw new Error(`pip could not install Trac 1.6: ${lastWords(error)}`, { cause: error })
  }
  await copyFile(requirementsFile, join(unfinished, 'stamp'))
  await rm(folder, { recursive: true, force: true })
  await rename(unfinished, folder)
  return python
}

/** What every environment behind the gateway says in `trac.ini`. */
function usualIni(publicUrl: string): Ini {
  return {
    trac: {
      base_url: publicUrl,
      use_base_url_for_redirect: 'true',
      secure_cookies: String(publicUrl.startsWith('https:')),
      permission_policies:
        'DefaultWikiPolicy, DefaultTicketPolicy, TracGatewayPolicy, LegacyAttachmentPolicy',
      request_filters: 'TracGateway',
    },
    components: { 'trac.web.auth.loginmodule': 'disabled' },
    trac_gateway: { key_file: 'trac_gateway.keys' },
    logging: { log_type: 'file', log_level: 'INFO' },
  }
}

/** `changes` laid over `ini`, setting by setting. */
function mergeIni(ini: Ini, changes: Ini): Ini {
  const merged: Record<string, Record<string, string>> = {}
  for (const source of [ini, changes]) {
    for (const [section, settings] of Object.entries(source)) {
      merged[section] = { ...merged[section], ...settings }
    }
  }
  return merged
}

/**
 * Runs inside Trac's Python, 2.7 or 3: takes the rights that initenv stored away and adds content.
 * Settings come as JSON in the second argument and are written last, so that even wrong ones can be made.
 */
const seedScript = `
import io, json, sys
from trac.env import Environment
from trac.ticket.model import Milestone, Ticket
from trac.wiki.model import WikiPage

env = Environment(sys.argv[1])
env.db_transaction("DELETE FROM permission")

pages = {
    u'WikiStart': u'= Welcome to the course =\\n\\nThis Trac sits behind trac-gateway.\\n\\n'
                  u' * [wiki:Syllabus The syllabus], [wiki:Rules House rules]\\n'
                  u' * [/roadmap What comes next], [report:1 Open tickets]\\n',
    u'Syllabus': u'= Syllabus =\\n\\n 1. Version control\\n 1. Tickets and milestones\\n 1. Reviews\\n',
    u'Rules': u'= House rules =\\n\\nBe kind. Write tests.\\n',
}
for name in sorted(pages):
    page = WikiPage(env, name)
    page.text = pages[name]
    page.save(u'trac', u'First version')

milestone = Milestone(env)
milestone.name = u'Autumn term'
milestone.description = u'What is to be handed in by the end of the term.'
milestone.insert()

for summary, kind in ((u'The build fails on a clean clone', u'defect'),
                      (u'Add an exercise about branches', u'enhancement'),
                      (u'Read the chapter on reviews', u'task')):
    ticket = Ticket(env)
    for field, value in (('summary', summary), ('type', kind), ('status', u'new'),
                         ('reporter', u'trac'), ('milestone', u'Autumn term'),
                         ('component', u'component1'), ('priority', u'major'),
                         ('description', u'Made with the environment.')):
        ticket[field] = value
    ticket.insert()

for section, settings in json.loads(sys.argv[2]).items():
    for name, value in settings.items():
        env.config.set(section, name, value)
env.config.save()
env.shutdown()
`

/** Calls trac-admin without its script, whose first line would name a folder that was renamed. */
const adminScript = 'import sys; from trac.admin.console import run; sys.exit(run(sys.argv[1:]))'

/** Writes the bridge's key file, whole or not at all, readable by its owner alone. */
export async function writeKeys(environment: string, keys: readonly SigningKey[]): Promise<void> {
  const file = join(environment, 'conf', 'trac_gateway.keys')
  const text = keys.map((key) => `${key.id} ${key.secret}\n`).join('')
  await writeFile(`${file}.new`, text, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

/**
 * Makes an environment that answers to the gateway: bridge, key file, `trac.ini`, pages, a milestone, tickets.
 * No right is stored in it: what a request may do is what the gateway grants.
 */
export async function createEnvironment(options: EnvironmentOptions): Promise<void> {
  const { environment, python, database = 'sqlite:db/trac.db' } = options
  const name = basename(environment)
  const ini = mergeIni(usualIni(options.publicUrl), options.ini ?? {})
  const trac = async (...parameters: string[]): Promise<unknown> =>
    run(python, ['-c', ...parameters], { env: { ...process.env, LC_ALL: 'C.UTF-8' } })
  try {
    await trac(adminScript, environment, 'initenv', name, database)
    await copyFile(bridgeFile, join(environment, 'plugins', basename(bridgeFile)))
    await writeKeys(environment, options.keys)
    await trac(seedScript, environment, JSON.stringify(ini))
  } catch (error) {
    throw new Error(`The Trac environment could not be made: ${lastWords(error)}`, { cause: error })
  }
}

/** Whether something accepts connections on 127.0.0.1. */
async function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    const settle = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => {
      settle(true)
    })
    socket.once('error', () => {
      settle(false)
    })
  })
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeout)
  await ended
  clearTimeout(timer)
}

/** Servers that run. */
const running = new Set<ChildProcess>()

/** Ends a server with this process, however that ends. */
function killAtExit(child: ChildProcess): void {
  if (running.size === 0) process.off('exit', killAll).once('exit', killAll)
  running.add(child)
}

function killAll(): void {
  for (const child of running) child.kill('SIGKILL')
}

/**
 * Starts a server process and waits until its port on 127.0.0.1 is open.
 * @throws Error if the port is taken, the command is missing, or the process ends before.
 */
export async function startServer(
  command: string,
  parameters: readonly string[],
  port: number,
  env: Readonly<Record<string, string>> = {},
): Promise<() => Promise<void>> {
  if (await isListening(port)) throw new Error(`Port ${port} on 127.0.0.1 is in use.`)
  const child = spawn(command, parameters, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let words = ''
  let failure: Error | undefined
  child.once('error', (error) => {
    failure = error
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-4000)
  })
  killAtExit(child)
  const stop = async (): Promise<void> => {
    running.delete(child)
    await end(child)
  }
  const giveUpAt = Date.now() + startTimeout
  while (!(await isListening(port))) {
    if (failure !== undefined || hasEnded(child) || Date.now() > giveUpAt) {
      if (failure === undefined) await stop()
      throw new Error(`${basename(command)} did not start: ${failure?.message ?? words.trim()}`)
    }
    await delay(50)
  }
  return stop
}

/** Starts tracd for one environment and waits until it takes connections. */
export async function startTracd(options: TracdOptions): Promise<RunningTrac> {
  const parameters = ['-m', 'trac.web.standalone', '--hostname=127.0.0.1', '--single-env']
  if (options.basePath !== '') parameters.push(`--base-path=${options.basePath}`)
  const stop = await startServer(
    options.python,
    [...parameters, `--port=${options.port}`, options.environment],
    options.port,
  )
  return { url: `http://127.0.0.1:${options.port}`, environment: options.environment, stop }
}

/** Does all there is to do for a running Trac 1.6 with content: installs it, makes the environment, starts tracd. */
export async function startTrac(options: TracOptions): Promise<RunningTrac> {
  const python = await installTrac(options.report)
  await createEnvironment({ ...options, python })
  return startTracd({ ...options, python })
}
