/** The demo: a look-alike Cognito, a real Trac, an API and the gateway, started and stopped together. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startApi } from './api.js'
import { describeDemo } from './demo-text.js'
import { createDemoClient } from './provider-pool.js'
import { startProvider } from './provider.js'
import type { DemoProvider } from './provider.js'
import { bridgeFile, cacheFolder, createEnvironment, installTrac } from './trac.js'
import { startTracd, writeKeys } from './trac.js'
import type { EnvironmentOptions } from './trac.js'

/** Starts the gateway with a configuration file and the variables that the file reads. */
export type StartGateway = (
  configPath: string,
  environment: Record<string, string>,
) => Promise<{ close(): Promise<void> }>

/** How to start the demo. */
export interface DemoOptions {
  readonly startGateway: StartGateway
  /** The process's own environment: where ports are changed. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Default: `gateway.yaml` at the top of the checkout. */
  readonly configPath?: string
  /** Where the Trac environment is kept between starts. Default: `demo` in the cache folder. */
  readonly folder?: string
  /** Takes the lines that a person reads. Default: standard output. */
  readonly report?: (line: string) => void
  /** Takes the lines that say what went wrong. Default: standard error. */
  readonly reportProblem?: (line: string) => void
  /** Where SIGINT and SIGTERM arrive. Default: the process. */
  readonly signals?: EventEmitter
}

/** A running demo. */
export interface RunningDemo {
  readonly publicUrl: string
  readonly provider: DemoProvider
  /** Ends everything, the last started first. */
  stop(): Promise<void>
}

/** The demo can't start for a reason that the person can mend; the message is what to read. */
export class DemoProblem extends Error {}

/** A port of the demo: its use, the variable that changes it, and its default. */
interface Port {
  readonly use: string
  readonly variable: string
  readonly usual: number
}

const ports = {
  gateway: { use: 'the gateway', variable: 'TRAC_GATEWAY_PORT', usual: 8000 },
  trac: { use: 'Trac (tracd)', variable: 'TRAC_GATEWAY_DEMO_TRAC_PORT', usual: 8001 },
  api: { use: 'the JSON API', variable: 'TRAC_GATEWAY_DEMO_API_PORT', usual: 8002 },
  provider: {
    use: 'the OpenID provider',
    variable: 'TRAC_GATEWAY_DEMO_PROVIDER_PORT',
    usual: 9000,
  },
  admin: {
    use: "the gateway's health and metrics",
    variable: 'TRAC_GATEWAY_DEMO_ADMIN_PORT',
    usual: 9464,
  },
} as const satisfies Record<string, Port>

type PortNumbers = Record<keyof typeof ports, number>

/** The base path of the demo's public URL. */
const basePath = '/trac'

/** The `id` of the signing key in gateway.yaml. */
const signingKeyId = 'k1'

/** `gateway.yaml`, as far from `src/demo/` as it is from `dist/demo/`. */
const exampleConfig = fileURLToPath(new URL('../../gateway.yaml', import.meta.url))

/** A secret of 256 bits, fresh at every start: the demo keeps no sessions over a restart. */
function createSecret(): string {
  return randomBytes(32).toString('base64url')
}

/**
 * Starts all parts of the demo and returns once the gateway listens.
 *
 * @throws {@link DemoProblem} if a port is taken or is no port; other errors from the parts.
 */
export async function startDemo(options: DemoOptions, abort?: AbortSignal): Promise<RunningDemo> {
  const { report = console.log, configPath = exampleConfig } = options
  const numbers = readPorts(options.environment)
  await checkPorts(numbers)
  const publicUrl = `http://localhost:${numbers.gateway}${basePath}`
  const started: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (let end = started.pop(); end !== undefined; end = started.pop()) await end()
  }
  try {
    const provider = await startPool(publicUrl, numbers.provider)
    started.push(() => provider.stop())
    const api = await startApi({ port: numbers.api })
    started.push(() => api.stop())
    const signingSecret = createSecret()
    const folder = join(options.folder ?? join(cacheFolder(), 'demo'), String(numbers.gateway))
    const python = await installTrac(report)
    abort?.throwIfAborted()
    const environment = await prepareEnvironment(folder, {
      python,
      publicUrl,
      keys: [{ id: signingKeyId, secret: signingSecret }],
      ini: {
        project: { name: 'Demo course', descr: 'Trac behind trac-gateway' },
        header_logo: { src: '' },
      },
    })
    abort?.throwIfAborted()
    const trac = await startTracd({ environment, python, port: numbers.trac, basePath })
    started.push(() => trac.stop())
    const gateway = await options.startGateway(configPath, {
      ...addresses(publicUrl, numbers, provider),
      TRAC_GATEWAY_TRAC_URL: trac.url,
      TRAC_GATEWAY_API_URL: api.url,
      TRAC_GATEWAY_SESSION_SECRET: createSecret(),
      TRAC_GATEWAY_SIGNING_SECRET: signingSecret,
    })
    started.push(() => gateway.close())
    abort?.throwIfAborted()
    return { publicUrl, provider, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function startPool(publicUrl: string, port: number): Promise<DemoProvider> {
  const client = createDemoClient({
    redirectUris: [`${publicUrl}/auth/callback`],
    logoutUris: [`${publicUrl}/auth/signed-out`],
  })
  return startProvider({ port, clients: [client] })
}

/** The variables of gateway.yaml that say where the gateway and the provider are. */
function addresses(
  publicUrl: string,
  numbers: PortNumbers,
  provider: DemoProvider,
): Record<string, string> {
  return {
    TRAC_GATEWAY_PUBLIC_URL: publicUrl,
    TRAC_GATEWAY_LISTEN: `127.0.0.1:${numbers.gateway}`,
    TRAC_GATEWAY_ADMIN_LISTEN: `127.0.0.1:${numbers.admin}`,
    TRAC_GATEWAY_ISSUER: provider.issuer,
    TRAC_GATEWAY_CLIENT_ID: provider.clientId,
    TRAC_GATEWAY_COGNITO_DOMAIN: provider.origin,
  }
}

/**
 * The command `trac-gateway demo`: starts, prints what to do, and stops at SIGINT or SIGTERM.
 * Resolves with the exit code.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { report = console.log, reportProblem = console.error, signals = process } = options
  const abort = new AbortController()
  const interrupt = (): void => abort.abort()
  signals.once('SIGINT', interrupt)
  signals.once('SIGTERM', interrupt)
  try {
    const demo = await startDemo(options, abort.signal)
    try {
      for (const line of await describeDemo(demo.publicUrl, demo.provider)) report(line)
      if (!abort.signal.aborted) await once(abort.signal, 'abort')
      report('Stopping …')
    } finally {
      await demo.stop()
    }
    return 0
  } catch (error) {
    if (abort.signal.aborted) return 0
    reportProblem(`trac-gateway demo: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  } finally {
    signals.off('SIGINT', interrupt)
    signals.off('SIGTERM', interrupt)
  }
}

// --- ports -------------------------------------------------------------------------------------

function readPorts(environment: DemoOptions['environment']): PortNumbers {
  const read = ({ use, variable, usual }: Port): number => {
    const text = environment[variable] ?? ''
    if (text === '') return usual
    const port = Number(text)
    if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port
    throw new DemoProblem(`${variable}=${text} is not a port number (1–65535) for ${use}.`)
  }
  return {
    gateway: read(ports.gateway),
    trac: read(ports.trac),
    api: read(ports.api),
    provider: read(ports.provider),
    admin: read(ports.admin),
  }
}

/**
 * Takes every port for a moment, all at once, so that two uses of one number are found as well. The
 * gateway's is taken on `::1` too: browsers may try that first for `localhost`.
 */
async function checkPorts(numbers: PortNumbers): Promise<void> {
  const held: Server[] = []
  const problems = new Set<string>()
  const take = async (name: keyof typeof ports, host: string): Promise<void> => {
    const server = createServer()
    server.listen(numbers[name], host)
    try {
      await once(server, 'listening')
      held.push(server)
    } catch (error) {
      if (codeOf(error) === 'EADDRINUSE' || codeOf(error) === 'EACCES') {
        problems.add(portProblem(name, numbers[name], codeOf(error)))
      } else if (host !== '::1') throw error
    }
  }
  await take('gateway', '127.0.0.1')
  await take('gateway', '::1')
  await take('trac', '127.0.0.1')
  await take('api', '127.0.0.1')
  await take('provider', '127.0.0.1')
  await take('admin', '127.0.0.1')
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))))
  if (problems.size > 0) throw new DemoProblem([...problems].join('\n'))
}

function portProblem(name: keyof typeof ports, port: number, code: unknown): string {
  const { use, variable } = ports[name]
  const cause = code === 'EACCES' ? 'not allowed here' : 'in use'
  return `Port ${port} for ${use} is ${cause}: set ${variable} to a free one.`
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

// --- the Trac environment ----------------------------------------------------------------------

/**
 * Makes the Trac environment unless it is there, made for the same bridge and public URL, and gives
 * it this start's key. It is made beside and renamed, so a half-made one is never taken for a whole.
 */
async function prepareEnvironment(
  folder: string,
  options: Omit<EnvironmentOptions, 'environment'>,
): Promise<string> {
  const environment = join(folder, 'trac')
  const stampFile = join(folder, 'stamp')
  const stamp = createHash('sha256')
    .update(await readFile(bridgeFile))
    .update(JSON.stringify([options.publicUrl, options.ini, options.python]))
    .digest('hex')
  if ((await readFile(stampFile, 'utf8').catch(() => '')) !== stamp) {
    const unfinished = join(folder, `new-${process.pid}`, 'trac')
    await rm(stampFile, { force: true })
    await rm(environment, { recursive: true, force: true })
    await mkdir(dirname(unfinished), { recursive: true })
    try {
      await createEnvironment({ ...options, environment: unfinished })
      await rename(unfinished, environment)
      await writeFile(stampFile, stamp)
    } finally {
      await rm(dirname(unfinished), { recursive: true, force: true })
    }
  }
  await writeKeys(environment, options.keys)
  return environment
}
