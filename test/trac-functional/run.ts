/**
 * `npm run test:trac [-- 1.6|1.4.4] [PART …]`: Trac's own functional tests through a gateway, a provider and sign-in. A PART is
 * a part of a test's name. What a test of theirs finds otherwise is in differences.ts; anything else that fails fails the run.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Person } from '../../src/demo/people.js'
import { startProvider } from '../../src/demo/provider.js'
import { bridgeFile, cacheFolder } from '../../src/demo/trac.js'
import { startTestGateway } from '../fixtures/gateway.js'
import type { Overlay } from '../fixtures/gateway.js'
import { listen } from '../fixtures/listen.js'
import { freePort } from '../fixtures/ports.js'
import { root } from '../fixtures/root.js'
import { differences } from './differences.js'

const versions = ['1.6', '1.4.4'] as const
type Version = (typeof versions)[number]

/** What trac-admin granted: actions by name, for people, `anonymous` and `authenticated`. */
type Granted = Readonly<Record<string, readonly string[]>>

/** What came of one test. */
interface Outcome {
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly words: string
}

const signingKey = { id: 'functional-1', secret: 'A-secret-of-the-tests-with-32-bytes-or-more' }

const nobody: ReadonlySet<string> = new Set(['anonymous', 'authenticated'])

/** A user name cannot also be a group's. */
const groupOf = (name: string): string => `of-${encodeURIComponent(name)}`

/** Somebody at the provider whose password is the name, as in the suite; `address_of` of suite.py makes the same address. */
function personOf(name: string): Person {
  return {
    email: `${encodeURIComponent(name)}@example.edu`,
    password: name,
    username: name,
    sub: `sub-of-${encodeURIComponent(name)}`,
    name,
    emailVerified: true,
    groups: [groupOf(name)],
    permissions: [],
  }
}

const namesOf = (granted: Granted): string[] =>
  Object.keys(granted).filter((name) => !nobody.has(name))

function overlayOf(publicUrl: string, granted: Granted): Overlay {
  return {
    server: { publicUrl },
    // Trac's tests look at lists of people who may own a ticket.
    upstreams: { trac: { signature: 'v2' } },
    permissions: {
      anonymous: granted['anonymous'] ?? [],
      authenticated: granted['authenticated'] ?? [],
      groups: Object.fromEntries(namesOf(granted).map((name) => [groupOf(name), granted[name]])),
    },
  }
}

/** A provider and a gateway that know whom and what the suite tells them of. */
async function startChain(ports: {
  readonly publicly: number
  readonly gateway: number
  readonly trac: number
}) {
  const publicUrl = `http://127.0.0.1:${ports.publicly}`
  const people = [personOf('admin')]
  const provider = await startProvider({ host: 'localhost', people })
  const client = provider.clients[0]
  client?.redirectUris.push(`${publicUrl}/auth/callback`)
  client?.logoutUris.push(`${publicUrl}/auth/signed-out`)
  const gateway = await startTestGateway({
    provider,
    basePath: '',
    port: ports.gateway,
    tracUrl: `http://127.0.0.1:${ports.trac}`,
    signingKey,
    overlay: overlayOf(publicUrl, {}),
  })
  let told = ''
  const tell = async (granted: Granted): Promise<void> => {
    // A configuration that is the same again is not taken.
    if (JSON.stringify(granted) === told) return
    told = JSON.stringify(granted)
    people.splice(0, people.length, ...namesOf(granted).map(personOf))
    if (!(await gateway.reload(overlayOf(publicUrl, granted)))) {
      throw new Error('the gateway did not take what the suite granted')
    }
  }
  const control = await startControl(tell)
  return {
    gateway,
    control: control.url,
    async stop(): Promise<void> {
      control.stop()
      await gateway.close()
      await provider.stop()
    },
  }
}

/** Where the suite says what it granted; the answer comes once that holds. */
async function startControl(tell: (granted: Granted) => Promise<void>) {
  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    request.on('end', () => {
      tell(JSON.parse(text) as Granted).then(
        () => response.end(),
        (error: unknown) => {
          console.error(error)
          response.writeHead(500).end()
        },
      )
    })
  })
  const port = await listen(server)
  return { url: `http://127.0.0.1:${port}/`, stop: () => server.close() }
}

/** The Python of a version, and the folders that it finds modules in. */
function pythonFor(version: Version): { command: string; path: string[] } {
  const cache = cacheFolder()
  const sources = join(cache, 'trac-functional')
  if (version === '1.6') {
    return {
      command: join(cache, 'trac-1.6', 'bin', 'python'),
      path: [join(sources, 'Trac-1.6'), join(sources, 'selenium')],
    }
  }
  return {
    command: join(cache, 'trac-1.4', 'python'),
    path: [join(sources, 'Trac-1.4.4'), join(sources, 'twill-0.9.1')],
  }
}

/** Runs the suite of one version and hands on each outcome; false if the suite itself broke. */
async function runSuite(
  version: Version,
  parts: readonly string[],
  each: (outcome: Outcome) => void,
) {
  const folder = join(root, '.build', 'trac-functional', version)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const publicly = await freePort()
  // twill asks the gateway itself; Chromium is asked through the suite's recorder, which has the public port.
  const gatewayPort = version === '1.6' ? await freePort() : publicly
  const trac = await freePort()
  const chain = await startChain({ publicly, gateway: gatewayPort, trac })
  const { command, path } = pythonFor(version)
  const log = await open(join(folder, 'suite.log'), 'w')
  let killAll = (): void => {}
  try {
    const child = spawn(command, [join(root, 'test', 'trac-functional', 'suite.py'), ...parts], {
      // The suite reads its list of words from here.
      cwd: path[0],
      env: {
        ...process.env,
        LC_ALL: 'C.UTF-8',
        TRAC_FUNCTIONAL_PATH: path.join(':'),
        PYTHONDONTWRITEBYTECODE: '1',
        TRAC_TEST_PORT: String(publicly),
        TRAC_TEST_ENV_PATH: join(folder, 'env'),
        TRAC_FUNCTIONAL_GATEWAY_PORT: String(gatewayPort),
        TRAC_FUNCTIONAL_TRAC_PORT: String(trac),
        TRAC_FUNCTIONAL_CONTROL: chain.control,
        TRAC_FUNCTIONAL_PLUGIN: bridgeFile,
        TRAC_FUNCTIONAL_KEY: `${signingKey.id} ${signingKey.secret}\n`,
        TRAC_FUNCTIONAL_RESULTS: '3',
      },
      stdio: ['ignore', log.fd, log.fd, 'pipe'],
      // A group of its own, so that what the suite leaves behind ends with it.
      detached: true,
    })
    killAll = () => {
      try {
        process.kill(-child.pid!, 'SIGKILL')
      } catch {
        // Nothing is left.
      }
    }
    process.once('exit', killAll)
    const results = createInterface(child.stdio[3] as Readable)
    results.on('line', (line) => each(JSON.parse(line) as Outcome))
    const [code] = (await once(child, 'close')) as [number]
    await writeFile(join(folder, 'gateway.log'), chain.gateway.log())
    if (code === 0) return true
    console.log(
      `# the suite of Trac ${version} ended with ${code}: see ${join(folder, 'suite.log')}`,
    )
    return false
  } finally {
    process.off('exit', killAll)
    killAll()
    await log.close()
    await chain.stop()
  }
}

const comment = (words: string): string => words.trimEnd().replace(/^/gm, '#   ')

/** Runs one version, prints its tests as TAP, and says whether nothing was unexpected. */
async function judge(version: Version, parts: readonly string[]): Promise<boolean> {
  const expected = new Map(
    differences
      .filter(({ only = version }) => only === version)
      .map(({ test, why }) => [test, why]),
  )
  const counts = { passed: 0, differed: 0, failed: 0 }
  const seen = new Set<string>()
  console.log(`# Trac ${version}`)
  const isWhole = await runSuite(version, parts, ({ name, outcome, words }) => {
    const why = expected.get(name)
    seen.add(name)
    if (outcome === 'skipped') console.log(`ok - ${name} # SKIP ${words}`)
    else if (why === undefined && outcome === 'passed') {
      counts.passed++
      console.log(`ok - ${name}`)
    } else if (why !== undefined && outcome === 'failed') {
      counts.differed++
      console.log(`ok - ${name} # expected difference: ${why}`)
    } else {
      counts.failed++
      const what = outcome === 'passed' ? `passed, though it is to differ: ${String(why)}` : words
      console.log(`not ok - ${name}\n${comment(what)}`)
    }
  })
  const missing = parts.length > 0 ? [] : [...expected.keys()].filter((name) => !seen.has(name))
  for (const name of missing) console.log(`not ok - ${name} is to differ, and is no test`)
  const failed = counts.failed + missing.length
  console.log(
    `# Trac ${version}: ${counts.passed} passed, ${counts.differed} expected differences, ${failed} failed`,
  )
  return isWhole && failed === 0
}

// So that `exit` comes, and ends the suite.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

const given = process.argv.slice(2)
const asked = versions.filter((version) => given.includes(version))
const parts = given.filter((word) => !versions.some((version) => version === word))
for (const version of asked.length === 0 ? versions : asked) {
  if (!(await judge(version, parts))) process.exitCode = 1
}
